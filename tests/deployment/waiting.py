"""Waits for answers and for new worker processes."""

import threading
from collections.abc import Callable

import requests

from tests.support.callers import Answered, Calls, call_all
from tests.support.cast import NUMBER
from tests.support.servers.server import Server
from tests.support.waiting import SECONDS, wait_until


def wait_for_answers(calls: Calls, count: int) -> None:
    """Until the callers have got this number of answers more, or an error."""
    wanted = len(calls.answers) + count
    wait_until(lambda: calls.errors or len(calls.answers) >= wanted)


def wait_for_new_workers(server: Server, before: list[int]) -> None:
    """Until each of these worker processes has been replaced by another one."""
    wait_until(
        lambda: (
            not set(before) & set(now := server.workers())
            and len(now) == len(before)
            and requests.get(f"{server.url}/readyz", timeout=30).ok
        )
    )


def call_until(server: Server, is_expected: Callable[[Answered], bool]) -> None:
    """Call until 40 calls at the same time, at all processes, get the expected answer."""
    wait_until(lambda: all(is_expected(each) for each in call_all(server, [NUMBER] * 40)))


def call_in_thread(server: Server, number: str) -> Callable[[], requests.Response]:
    """Call now. Returns a function that waits for the answer."""
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(server.call(number, timeout=SECONDS)))
    thread.start()

    def wait() -> requests.Response:
        thread.join(SECONDS + 5)
        return answers[0]

    return wait
