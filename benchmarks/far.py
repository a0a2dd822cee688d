"""With Redis 25 ms of round trip away: a hit beside FastAPI's, and how soon a process is of use."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from benchmarks import stage
from benchmarks.fill import fill, number
from benchmarks.load import Load, generator, measure
from benchmarks.results import Goal, Report
from sandbox.airtable.sample import linked_base
from tests.support.proxy import Proxy

ONE_WAY_SECONDS = 0.0125
NUMBERS = 10_000
P50 = Goal("a hit's p50, Redis 25 ms away", "FastAPI + redis.asyncio", at_most=0.02)
START = Goal("start to first answer, 10,000 numbers, Redis 25 ms away", "", at_most=2, unit="s")


def run(report: Report, rounds: int, seconds: float) -> None:
    with stage.stage(linked_base()), _far_redis() as away:
        fill(NUMBERS)
        report.add(P50, _hits(away, rounds, seconds))
        report.add(START, [_start(away) for _ in range(rounds)])


@contextmanager
def _far_redis() -> Iterator[dict[str, str]]:
    """The variable by which a server sees the stage's Redis so far away."""
    port = urlsplit(os.environ["REDIS_URL"]).port or 6379
    with closing(Proxy(port)) as proxy:
        proxy.delay = ONE_WAY_SECONDS
        yield {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}"}


def _hits(away: dict[str, str], rounds: int, seconds: float) -> list[float]:
    ratios = []
    with (
        generator() as client,
        stage.serving(variables=away) as ours,
        stage.serving(stage.FASTAPI, variables=away) as theirs,
    ):
        for _ in range(rounds):
            load = Load([stage.call(number(0))], 1, seconds)
            p50 = [
                client.submit(measure, server.port, load).result().p50_ms
                for server in (ours, theirs)
            ]
            ratios.append(p50[0] / p50[1])
    return ratios


def _start(away: dict[str, str]) -> float:
    """Seconds from the command to the first answer, which has to be from memory."""
    started = time.monotonic()
    with stage.starting(variables=away) as server:
        while not stage.is_ready(server):
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(stage.call(number(NUMBERS - 1)))
            answer = connection.recv(65536)
        seconds = time.monotonic() - started
    if stage.source(answer) != "memory":
        raise RuntimeError(f"Not from memory:\n{answer.decode()}")
    return seconds
