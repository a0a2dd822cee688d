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
_FOREIGN = {"request", "status_code", "server_time", "sql", "params", "duration", "alias", "line"}
_NO_FIELDS = frozenset(_STANDARD | _FOREIGN)


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Those given with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _NO_FIELDS}


class BackgroundHandler(logging.Handler):
    """Writes lines to standard error in a thread of its own: who answers calls must not wait for
    whoever reads the log. When that one is too slow lines are dropped, and their number is told.

    The thread sleeps a little after it was woken, and takes all there is by then: to be woken for
    each line, and to write each, would cost a call more than all else (docs/decisions.md)."""

    HELD = 10_000
    GATHER_SECONDS = 0.01
    FAREWELL_SECONDS = 2.0
    MADE_AT_ONCE = 16

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
        if self.filters and not self.filter(record):
            return False
        self.emit(record)
        return True

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
        lines = []
        for made in range(len(self._records)):
            if made % self.MADE_AT_ONCE == 0:
                time.sleep(0)  # lets go of the interpreter: who answers a call goes first
            lines.append(self._line(self._records.popleft()))
        if self._dropped:
            told = f"{self._dropped} lines before this one were dropped."
            lines.append(self._line(_warning(told)))
            self._dropped = 0
        try:
            for piece in _pieces(lines):
                sys.stderr.write(piece)
                sys.stderr.flush()
        except OSError:  # a full disk, a reader that is gone: perhaps not for ever
            self._dropped += len(lines)

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
        size = 1 + (len(line) if line.isascii() else len(line.encode(errors="backslashreplace")))
        if piece and length + size > PIPE_BUF:
            yield "".join(piece)
            piece, length = [], 0
        piece.append(f"{line}\n")
        length += size
    if piece:
        yield "".join(piece)


class Line:
    """A message of one argument that calls log, at INFO. Its records are copies of one that was
    made beforehand, and what a formatter writes around the argument is made once, too: else both
    took a fifth of a hit. The argument is of plain characters: a number in E.164."""

    _ARGUMENT = "argument"

    def __init__(self, logger: logging.Logger, message: str, **fields: Any) -> None:
        self._logger = logger
        made = (logger.name, logging.INFO, "", 0, message, (self._ARGUMENT,), None, None, fields)
        self._example = logger.makeRecord(*made)
        self._made = {**vars(self._example), "line": self}
        self._frames: dict[logging.Formatter, tuple[str, str, str]] = {}

    def log(self, argument: str) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            return
        now = time.time()
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__ = self._made.copy()
        record.args, record.created, record.msecs = (argument,), now, now % 1 * 1000
        self._logger.handle(record)

    def formatted(self, record: logging.LogRecord, formatter: logging.Formatter) -> str:
        """What the formatter makes of an equal record that has no `line`."""
        if formatter not in self._frames:
            before, _, rest = formatter.format(self._example).partition(_time(self._example))
            between, _, after = rest.partition(self._ARGUMENT)
            self._frames[formatter] = (before, between, after)
        before, between, after = self._frames[formatter]
        return f"{before}{_time(record)}{between}{cast('tuple[str]', record.args)[0]}{after}"


class TextFormatter(logging.Formatter):
    """`2026-11-22T20:36:04.123Z INFO [tier=redis] Redis cache hit for +32460234291`"""

    def format(self, record: logging.LogRecord) -> str:
        if record.args and isinstance(line := vars(record).get("line"), Line):
            return line.formatted(record, self)
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        text = f"{_time(record)} {record.levelname} {f'[{fields}] ' if fields else ''}"
        text += record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text.replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        if record.args and isinstance(line := vars(record).get("line"), Line):
            return line.formatted(record, self)
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
