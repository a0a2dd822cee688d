"""Programmed faults: which requests they befall, and what happens to them."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_args

from sandbox.airtable.errors import Shape, error_body

TROUBLES = ("status", "html", "json", "truncated", "hang", "reset", "lose_iterator")


@dataclass(frozen=True)
class Asked:
    """What a fault can tell requests apart by."""

    method: str
    path: str
    table_names: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True)
class Fault:
    """By default the next request of any kind is hit, once.

    With status alone the body is an error as Airtable words it; with html or json it is that.
    A fault without any trouble only waits or calls before, and the answer is as usual.
    """

    # which requests
    method: str = ""
    path: str = ""
    """A part of the path, percent-decoded."""
    table: str = ""
    """Name or id."""
    page: int | None = None
    """Only list requests for the page of this number, from 1."""
    skip: int = 0
    """So many matching requests pass first."""
    times: int | None = 1
    """So many are hit; None is all from then on."""

    # before the answer
    delay: float = 0.0
    before: Callable[[], object] | None = None
    """Called in a thread of its own, so it may edit the base or call the server."""

    # instead of the usual answer
    status: int | None = None
    error: str = ""
    message: str = ""
    shape: Shape = "object"
    retry_after: int | None = None
    html: str | None = None
    json: Any = None
    truncated: bool = False
    """The usual answer, cut in the middle."""
    hang: bool = False
    reset: bool = False
    lose_iterator: bool = False
    """The server forgets the sweep, as after a restart: 422."""

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ValueError(f"shape is one of {', '.join(get_args(Shape))}, not {self.shape!r}")
        if self.truncated + self.hang + self.reset + self.lose_iterator + self.answers > 1:
            raise ValueError(f"a fault has at most one of {', '.join(TROUBLES)}")
        if self.html is not None and self.json is not None:
            raise ValueError("a fault has html or json, not both")

    @property
    def answers(self) -> bool:
        """Whether the fault brings an answer of its own."""
        return self.status is not None or self.html is not None or self.json is not None

    @property
    def error_body(self) -> dict[str, Any]:
        kind = self.error or STATUS_ERRORS.get(self.status or 500, "SERVER_ERROR")
        return error_body(kind, self.message, self.shape)

    def matches(self, asked: Asked) -> bool:
        return (
            self.method.upper() in ("", asked.method)
            and self.path in asked.path
            and (not self.table or self.table in asked.table_names)
            and (self.page is None or self.page == asked.page)
        )


STATUS_ERRORS = {
    401: "AUTHENTICATION_REQUIRED",
    403: "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
    404: "NOT_FOUND",
    422: "INVALID_REQUEST_UNKNOWN",
    429: "RATE_LIMIT_REACHED",
    503: "RETRIABLE_ERROR",
}
FROM_JSON = frozenset(field.name for field in fields(Fault)) - {"before"}


def fault_from_json(wanted: dict[str, Any]) -> Fault:
    """Raises ValueError with a sentence for the person who typed it."""
    if unknown := sorted(wanted.keys() - FROM_JSON):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(FROM_JSON))}")
    for name, value in wanted.items():
        expected = EXPECTED.get(name)
        if expected and not isinstance(value, expected):
            raise ValueError(f"{name} has a wrong type")
    return Fault(**wanted)


EXPECTED: dict[str, Any] = (
    dict.fromkeys(("method", "path", "table", "error", "message", "shape"), str)
    | dict.fromkeys(("truncated", "hang", "reset", "lose_iterator"), bool)
    | dict.fromkeys(("page", "times", "status", "retry_after"), int | None)
    | {"skip": int, "delay": int | float, "html": str | None}
)


@dataclass
class Armed:
    fault: Fault
    seen: int = 0
    hits: int = 0


class Faults:
    """The first fault that is due takes the request; each counts every request it matches."""

    def __init__(self) -> None:
        self._armed: dict[int, Armed] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> int:
        """A number to look at or remove it by."""
        with self._lock:
            number = next(self._numbers)
            self._armed[number] = Armed(fault)
            return number

    def remove(self, number: int) -> bool:
        with self._lock:
            return self._armed.pop(number, None) is not None

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def hits(self, number: int) -> int:
        """How many requests a fault has hit."""
        with self._lock:
            return self._armed[number].hits

    def armed(self) -> dict[int, Armed]:
        with self._lock:
            return dict(self._armed)

    def due(self, asked: Asked) -> Fault | None:
        with self._lock:
            due = [armed for armed in self._armed.values() if _counts(armed, asked)]
            if not due:
                return None
            due[0].hits += 1
            return due[0].fault


def _counts(armed: Armed, asked: Asked) -> bool:
    if not armed.fault.matches(asked):
        return False
    armed.seen += 1
    left = armed.fault.times is None or armed.hits < armed.fault.times
    return left and armed.seen > armed.fault.skip
