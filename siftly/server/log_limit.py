"""Limits the log lines that a stranger can cause, such as a scanner of the internet.

Anyone can send nonsense. An operator needs to see that it happens, but not thousands of times."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LINES, SECONDS = 10, 60.0
MAX_LENGTH = 500  # of a text in a message, such as a path
# Django logs these as errors with a traceback. Their messages are no templates: they quote the
# request. https://docs.djangoproject.com/en/5.2/ref/logging/#django-security
SECURITY = "django.security."


@dataclass(slots=True)
class _Kind:
    """The lines of one logger with the same message template."""

    passed_at: deque[float] = field(default_factory=lambda: deque(maxlen=LINES))
    omitted: int = 0


class LogLimit(logging.Filter):
    """Passes at most LINES lines in SECONDS of each kind, if they are from one of the loggers, or
    from a logger below it. The next line that passes has the number of those before it that did
    not, in the field `similar_lines_omitted`.

    Errors of the server itself always pass, with their traceback. A security error of Django is the
    stranger's error, so it becomes a warning."""

    MAX_KINDS = 200

    def __init__(self, loggers: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._names, self._prefixes = frozenset(loggers), tuple(f"{name}." for name in loggers)
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name not in self._names and not record.name.startswith(self._prefixes):
            return True
        is_security = record.name.startswith(SECURITY)
        if record.levelno >= logging.ERROR and not is_security:
            return True
        with self._lock:
            kind = self._kind(record.name, "" if is_security else str(record.msg)[:MAX_LENGTH])
            now = self._clock()
            if len(kind.passed_at) == LINES and now - kind.passed_at[0] < SECONDS:
                kind.omitted += 1
                return False
            kind.passed_at.append(now)
            omitted, kind.omitted = kind.omitted, 0
        _simplify(record, omitted)
        return True

    def _kind(self, name: str, template: str) -> _Kind:
        """After MAX_KINDS, a logger's new kinds count as one, so that the memory is limited."""
        if (name, template) not in self._kinds and len(self._kinds) >= self.MAX_KINDS:
            template = ""
        return self._kinds.setdefault((name, template), _Kind())


def _simplify(record: logging.LogRecord, omitted: int) -> None:
    """Make it a short line at WARNING or below, without a traceback."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    record.exc_info = record.exc_text = None
    if not record.args:
        record.msg = _shorten(record.msg)
    elif isinstance(record.args, tuple):
        record.args = tuple(map(_shorten, record.args))
    if omitted:
        record.__dict__["similar_lines_omitted"] = omitted


def _shorten(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= MAX_LENGTH:
        return value
    return f"{value[:MAX_LENGTH]}…"
