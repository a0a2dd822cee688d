"""One line an event, as text or JSON. Fields given with `extra=` stand before the message, so that
the messages operators search for (docs: CONTRACT) end the line word for word."""

import atexit
import json
import logging
import os
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import Any

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
# What Django and uvicorn hang on their records is for their own handlers, and no field of ours.
_FOREIGN = {"request", "status_code", "server_time", "sql", "params", "duration", "alias"}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    known = _STANDARD | _FOREIGN
    return {name: value for name, value in vars(record).items() if name not in known}


class BackgroundHandler(logging.Handler):
    """Writes lines to standard error in a thread of its own: who answers calls must not wait for
    whoever reads the log. When that one is too slow lines are dropped, and their number is told."""

    HELD = 10_000
    FAREWELL_SECONDS = 2.0

    def __init__(self) -> None:
        super().__init__()
        self._process = 0
        self._dropped = 0
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    def emit(self, record: logging.LogRecord) -> None:
        if self._process != os.getpid():  # threads do not survive a fork
            self._start()
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is left, if that is possible within a moment."""
        if self._thread and self._process == os.getpid():
            self._records.put(None)
            self._thread.join(self.FAREWELL_SECONDS)
            self._thread = None
        super().close()

    def _start(self) -> None:
        self._process = os.getpid()
        self._records = queue.Queue(self.HELD)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        while record := self._records.get():
            line = self.format(record)
            if self._dropped:
                line += f"\n{self._dropped} lines before this one were dropped."
                self._dropped = 0
            print(line, file=sys.stderr, flush=True)  # noqa: T201


class TextFormatter(logging.Formatter):
    """`2026-11-22T20:36:04.123Z INFO [tier=redis] Redis cache hit for +32460234291`"""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname} {f'[{fields}] ' if fields else ''}"
        line += record.getMessage()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line.replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)
