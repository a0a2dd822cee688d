"""A stranger can cause a few short warnings a minute, and no errors."""

import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from siftly.server.log_format import TextFormatter
from siftly.server.log_limit import LINES, SECONDS, LogLimit
from tests.support.servers.server import Server, serving

LOGGERS = ["django.request", "django.security", "uvicorn.error"]


class World:
    """A log with a limit, and a clock."""

    def __init__(self, *loggers: str) -> None:
        self.now = 0.0
        self.limit = LogLimit(loggers or LOGGERS, clock=lambda: self.now)

    def log(
        self, name: str, message: str, *arguments: object, level: int = logging.WARNING
    ) -> logging.LogRecord | None:
        """The record, as the handler gets it. None if it was left out."""
        record = logging.LogRecord(name, level, "", 0, message, arguments, None)
        return record if self.limit.filter(record) else None

    def lines(self, times: int, name: str, message: str, *arguments: object) -> int:
        return sum(self.log(name, message, *arguments) is not None for _ in range(times))


def omitted(record: logging.LogRecord | None) -> object:
    assert record
    return vars(record).get("similar_lines_omitted")


def test_ten_lines_a_minute_of_each_kind_pass() -> None:
    world = World()
    assert world.lines(1000, "uvicorn.error", "Invalid HTTP request received.") == LINES == 10
    assert world.lines(1000, "uvicorn.error", "Unsupported upgrade request.") == LINES
    assert world.lines(1000, "django.request", "Not Found: %s", "/wp-login.php") == LINES


def test_lines_that_differ_only_in_their_arguments_are_of_one_kind() -> None:
    world = World()
    passed = [world.log("django.request", "Not Found: %s", f"/{index}") for index in range(100)]
    assert len([each for each in passed if each]) == LINES


def test_the_next_line_that_passes_says_how_many_were_omitted() -> None:
    world = World()
    assert omitted(world.log("uvicorn.error", "Invalid HTTP request received.")) is None
    world.lines(100, "uvicorn.error", "Invalid HTTP request received.")
    world.now = SECONDS
    line = world.log("uvicorn.error", "Invalid HTTP request received.")
    assert line
    text = TextFormatter().format(line)
    assert text.endswith("[similar_lines_omitted=91] Invalid HTTP request received.")
    assert omitted(world.log("uvicorn.error", "Invalid HTTP request received.")) is None


def test_no_minute_has_more_than_ten_lines() -> None:
    world, passed_at = World(), []
    for second in range(600):
        world.now = second / 2
        if world.log("django.request", "Not Found: %s", "/"):
            passed_at.append(world.now)
    for start in passed_at:
        assert len([each for each in passed_at if start <= each < start + SECONDS]) <= LINES
    assert len(passed_at) == 5 * LINES


def test_lines_of_other_loggers_are_never_omitted() -> None:
    world = World(*settings.LIMITED_LOGGERS)
    for name, message in (
        ("webhooks.call_handler", "Redis cache hit for %s"),
        ("airtable_sync.lookup.answerer", "Redis cache hit for %s"),
        ("airtable_sync.lookup.answerer", "Redis cache miss for %s"),
        ("airtable_sync.lookup.answerer", "Unknown number %s"),
        ("airtable_sync.lookup.caching_lookup", "Cached data for %s in Redis"),
        ("airtable_sync.lookup.airtable_lookup", "Airtable lookup duration: %.3fs"),
        ("django.requests", "a logger whose name only starts alike: %s"),
    ):
        assert world.lines(1000, name, message, 1) == 1000


def test_errors_of_the_server_keep_their_level_and_traceback() -> None:
    world = World()
    for name in ("django.request", "uvicorn.error"):
        for _ in range(100):
            record = an_error(name, "Internal Server Error")
            assert world.limit.filter(record)
            assert record.levelno == logging.ERROR
            assert "ValueError: unexpected" in TextFormatter().format(record)


def an_error(name: str, message: str) -> logging.LogRecord:
    raised = (ValueError, ValueError("unexpected"), None)
    return logging.LogRecord(name, logging.ERROR, "", 0, message, (), raised)


def test_a_security_error_becomes_a_warning_without_a_traceback() -> None:
    world = World()
    message = "Invalid HTTP_HOST header: 'x'."
    record = an_error("django.security.DisallowedHost", message)
    assert world.limit.filter(record)
    assert TextFormatter().format(record).endswith(f"Z WARNING {message}")


def test_security_errors_have_one_limit_whatever_they_quote() -> None:
    world = World()
    passed = [
        world.log("django.security.DisallowedHost", f"Invalid HTTP_HOST header: 'x{index}'.")
        for index in range(100)
    ]
    assert len([each for each in passed if each]) == LINES


def test_messages_that_are_not_templates_need_no_more_memory() -> None:
    world = World()
    for index in range(1000):
        world.log("django.request", f"{index} " + "x" * 10_000)
    assert len(world.limit._kinds) <= LogLimit.MAX_KINDS + 1
    assert all(len(template) < 1000 for _, template in world.limit._kinds)
    assert world.lines(100, "django.request", "one more") == 0


@pytest.mark.parametrize(
    ("message", "arguments"), [("x" * 60_000, ()), ("Not Found: %s", ("/" + "x" * 60_000,))]
)
def test_a_line_is_short(message: str, arguments: tuple[object, ...]) -> None:
    line = World().log("django.request", message, *arguments)
    assert line
    assert len(line.getMessage()) < 600


def test_the_log_of_the_server_uses_the_limit() -> None:
    handlers: Any = settings.LOGGING["handlers"]
    assert handlers["stderr"]["filters"] == ["limit"]


@pytest.mark.slow
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_strangers_cause_ten_warnings_of_each_kind(tmp_path: Path, log_format: str) -> None:
    variables = {"LOG_FORMAT": log_format, "AIRTABLE_API_URL": "http://127.0.0.1:1"}
    with serving(tmp_path, variables, processes=1) as server:
        for _ in range(30):
            send_nonsense(server)
            requests.get(f"{server.url}/wp-login.php\x1b[2J", timeout=15)
            requests.get(f"{server.url}/", headers={"Host": "foreign.example"}, timeout=15)
            requests.post(f"{server.url}/webhooks/retell/", b"{}", timeout=15)
            requests.post(f"{server.url}/webhooks/nothing/", b"{}", timeout=15)
    lines = server.log.read_text(encoding="utf-8").splitlines()
    assert all(line.isprintable() and len(line) < 1000 for line in lines)
    for text in (
        "Invalid HTTP request received.",
        "Not Found: /wp-login.php",
        "Rejected with 401",
        "Rejected with 404",
    ):
        found = [line for line in lines if text in line]
        assert len(found) == LINES, text
        level = "INFO" if "404" in text else "WARNING"
        assert all(level_of(line) == level for line in found)
    assert not [line for line in lines if "Traceback" in line or level_of(line) == "ERROR"]
    assert not [line for line in lines if "foreign.example" in line]


def send_nonsense(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"GARBAGE\r\n\r\n")
        connection.recv(100)


def level_of(line: str) -> str:
    return str(json.loads(line)["level"]) if line.startswith("{") else line.split()[1]
