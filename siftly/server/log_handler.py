"""The log handler that writes to standard error in the background."""

import atexit
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from select import PIPE_BUF


class BackgroundHandler(logging.Handler):
    """Writes lines to standard error in its own thread, so that a slow log reader does not delay
    calls. If the reader is too slow, the handler drops lines and logs how many.

    For speed, the thread waits a moment after it wakes up and then writes all waiting lines
    together. Waking up and writing once for each line took more time than the rest of a cache hit
    (docs/understanding/decisions.md)."""

    MAX_WAITING = 10_000
    BATCH_SECONDS = 0.01
    CLOSE_SECONDS = 2.0
    LINES_BETWEEN_YIELDS = 64  # some 0.1 ms

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0
        self._records: deque[logging.LogRecord] = deque()
        self._has_records, self._is_closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._reset_after_fork)

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue the record without logging's lock: a deque does not need it, and it takes time."""
        # For speed, a cache hit's line skips the filters: they are for lines that strangers cause.
        if "prepared_line" not in record.__dict__ and not self.filter(record):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        if self._thread is None:
            self._start()
        if len(self._records) >= self.MAX_WAITING:
            self._dropped += 1
            return
        self._records.append(record)
        if not self._has_records.is_set():
            self._has_records.set()

    def close(self) -> None:
        """Write the waiting lines, but wait at most CLOSE_SECONDS."""
        if self._thread:
            self._is_closing.set()
            self._has_records.set()
            self._thread.join(self.CLOSE_SECONDS)
            self._thread = None
        super().close()

    def _reset_after_fork(self) -> None:
        """The thread does not exist in the child, and the parent writes the waiting lines."""
        self._thread, self._records, self._has_records = None, deque(), threading.Event()

    def _start(self) -> None:
        self.acquire()
        try:
            if self._thread is None:
                self._is_closing = threading.Event()
                thread = threading.Thread(target=self._run, name="log", daemon=True)
                thread.start()
                self._thread = thread
        finally:
            self.release()

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._has_records.wait()
            self._is_closing.wait(self.BATCH_SECONDS)
            self._has_records.clear()
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        lines = []
        for index in range(len(self._records)):
            if index % self.LINES_BETWEEN_YIELDS == 0:
                time.sleep(0)  # releases the interpreter lock, so that calls are answered first
            lines.append(self._line(self._records.popleft()))
        if self._dropped:
            warning = _warning(f"{self._dropped} lines before this one were dropped.")
            lines.append(self._line(warning))
            self._dropped = 0
        try:
            for chunk in chunks(lines):
                sys.stderr.write(chunk)
                sys.stderr.flush()
        except OSError:  # a full disk or a closed pipe, which may recover
            self._dropped += len(lines)

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - an argument's __str__ may raise anything
            return self.format(_warning(f"Can't format a log record of {record.name}: {error!r}"))


def _warning(message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, (), None)


def chunks(lines: list[str]) -> Iterator[str]:
    """Join whole lines to chunks of at most PIPE_BUF bytes. A longer line is a chunk of its own.

    A pipe takes that many bytes in one piece, so lines of several processes do not mix.
    https://man7.org/linux/man-pages/man7/pipe.7.html"""
    chunk: list[str] = []
    length = 0
    for line in lines:
        size = 1 + (len(line) if line.isascii() else len(line.encode(errors="backslashreplace")))
        if chunk and length + size > PIPE_BUF:
            yield "".join(chunk)
            chunk, length = [], 0
        chunk.append(f"{line}\n")
        length += size
    if chunk:
        yield "".join(chunk)
