"""One line an event, as text or JSON. Fields given with `extra=` stand before the message, so that
the messages operators search for (docs: CONTRACT) end the line word for word."""

import atexit
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from select import PIPE_BUF
from typing import Any, cast

# What no line tells is not found out: half the cost of a record (docs.python.org/howto/logging,
# "Optimization").
logging.logThreads = logging.logMultiprocessing = False
logging._srcfile = None  # noqa: SLF001 - the documented way

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
# What Django and uvicorn hang on their records is for their own handlers, and no field of ours.
_FOREIGN = {"request", "status_code", "server_time", "sql", "params", "duration", "alias"}
_NO_FIELDS = frozenset(_STANDARD | _FOREIGN)


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Those given with `extra=`; a record of `Line` knows its own."""
    values = vars(record)
    if own := values.get("own_fields"):
        return cast("dict[str, Any]", own)
    return {name: value for name, value in values.items() if name not in _NO_FIELDS}


class BackgroundHandler(logging.Handler):
    """Writes lines to standard error in a thread of its own: who answers calls must not wait for
    whoever reads the log. When that one is too slow lines are dropped, and their number is told.

    The thread sleeps a little after it was woken, and takes all there is by then: to be woken for
    each line, and to write each, would cost a call more than all else (docs/decisions.md)."""

    HELD = 10_000
    GATHER_SECONDS = 0.01
    FAREWELL_SECONDS = 2.0

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0
        self._records: deque[logging.LogRecord] = deque()
        self._awake, self._ending = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget_thread)  # it does not survive a fork

    def handle(self, record: logging.LogRecord) -> bool:
        """Without logging's lock, which a deque does not need."""
        kept = bool(self.filter(record))
        if kept:
            self.emit(record)
        return kept

    def emit(self, record: logging.LogRecord) -> None:
        if self._thread is None:
            self._start()
        if len(self._records) >= self.HELD:
            self._dropped += 1
            return
        self._records.append(record)
        if not self._awake.is_set():
            self._awake.set()

    def close(self) -> None:
        """Write what is left, if that is possible within a moment."""
        if self._thread:
            self._ending.set()
            self._awake.set()
            self._thread.join(self.FAREWELL_SECONDS)
            self._thread = None
        super().close()

    def _forget_thread(self) -> None:
        """What the parent has still to write is the parent's."""
        self._thread, self._records, self._awake = None, deque(), threading.Event()

    def _start(self) -> None:
        self.acquire()
        try:
            if self._thread is None:
                self._ending = threading.Event()
                thread = threading.Thread(target=self._run, name="log", daemon=True)
                thread.start()
                self._thread = thread
        finally:
            self.release()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._awake.wait()
            self._ending.wait(self.GATHER_SECONDS)
            self._awake.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._line(self._records.popleft()) for _ in range(len(self._records))]
        if self._dropped:
            told = f"{self._dropped} lines before this one were dropped."
            lines.append(self._line(_warning(told)))
            self._dropped = 0
        for piece in _pieces(lines):
            sys.stderr.write(piece)
            sys.stderr.flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - the thread goes on, and says so
            return self.format(_warning(f"A line of {record.name} can't be written: {error!r}"))


def _warning(message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, (), None)


def _pieces(lines: list[str]) -> Iterator[str]:
    """Whole lines, as many as a pipe takes at once (POSIX' PIPE_BUF): what is longer may be torn by
    another process that writes there."""
    piece: list[str] = []
    length = 0
    for line in lines:
        size = len(line.encode(errors="backslashreplace")) + 1
        if piece and length + size > PIPE_BUF:
            yield "".join(piece)
            piece, length = [], 0
        piece.append(f"{line}\n")
        length += size
    if piece:
        yield "".join(piece)


class Line:
    """A message of one argument that calls log, at INFO. Its records are copies of one that was
    made beforehand: to make one anew takes as long as a fifth of a hit."""

    def __init__(self, logger: logging.Logger, message: str, **fields: Any) -> None:
        self._logger = logger
        record = logger.makeRecord(
            logger.name, logging.INFO, "", 0, message, (), None, extra=fields
        )
        self._made = {**vars(record), "own_fields": fields}

    def log(self, argument: str) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            return
        now = time.time()
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__ = self._made.copy()
        record.args, record.created, record.msecs = (argument,), now, now % 1 * 1000
        self._logger.handle(record)


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


def formatter_named(name: str) -> logging.Formatter:
    """That of LOG_FORMAT."""
    return JsonFormatter() if name == "json" else TextFormatter()


def write_what_waits() -> None:
    """Before a process ends without `atexit`."""
    for handler in logging.getLogger().handlers:
        handler.close()
