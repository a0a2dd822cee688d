"""A programmed fault: which requests it applies to, and what it does to them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_args

from sandbox.airtable.common.errors import Shape, error_body

EFFECTS = ("status", "html", "json", "truncated", "hang", "reset", "lose_iterator")


@dataclass(frozen=True)
class RequestInfo:
    """What a fault selects requests by."""

    method: str
    path: str
    table_names: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True)
class Fault:
    """By default it applies to the next request, once.

    With `status` alone the response is one of Airtable's errors; with `html` or `json` it is that.
    A fault without an effect only waits or calls `before`; then the normal response follows.
    """

    # which requests
    method: str = ""
    path: str = ""
    """A part of the percent-decoded path."""
    table: str = ""
    """Name or id."""
    page: int | None = None
    """The number, from 1, of the page that a list request asks for."""
    skip: int = 0
    """This number of matching requests get the normal response first."""
    times: int | None = 1
    """The fault applies to this number of requests; None: to all."""

    # before the response
    delay: float = 0.0
    before: Callable[[], object] | None = None
    """Called in its own thread, so it may edit the base or send requests to the sandbox."""

    # instead of the normal response
    status: int | None = None
    error: str = ""
    message: str = ""
    shape: Shape = "object"
    retry_after: int | None = None
    html: str | None = None
    json: Any = None
    truncated: bool = False
    """Half of the normal response, then the connection closes."""
    hang: bool = False
    reset: bool = False
    lose_iterator: bool = False
    """The offset becomes invalid, as after a restart: 422."""

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ValueError(
                f"shape must be one of {', '.join(get_args(Shape))}, not {self.shape!r}"
            )
        if self.truncated + self.hang + self.reset + self.lose_iterator + self.has_response > 1:
            raise ValueError(f"use at most one of {', '.join(EFFECTS)}")
        if self.html is not None and self.json is not None:
            raise ValueError("use html or json, not both")

    @property
    def has_response(self) -> bool:
        """Whether the fault replaces the response."""
        return self.status is not None or self.html is not None or self.json is not None

    @property
    def error_body(self) -> dict[str, Any]:
        kind = self.error or STATUS_ERRORS.get(self.status or 500, "SERVER_ERROR")
        return error_body(kind, self.message, self.shape)

    def matches(self, request: RequestInfo) -> bool:
        return (
            self.method.upper() in ("", request.method)
            and self.path in request.path
            and (not self.table or self.table in request.table_names)
            and (self.page is None or self.page == request.page)
        )


STATUS_ERRORS = {
    401: "AUTHENTICATION_REQUIRED",
    403: "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
    404: "NOT_FOUND",
    422: "INVALID_REQUEST_UNKNOWN",
    429: "RATE_LIMIT_REACHED",
    503: "RETRIABLE_ERROR",
}
JSON_KEYS = frozenset(field.name for field in fields(Fault)) - {"before"}


def fault_from_json(values: dict[str, Any]) -> Fault:
    """Raises ValueError with a message for the user."""
    if unknown := sorted(values.keys() - JSON_KEYS):
        raise ValueError(f"unknown keys: {', '.join(unknown)}. Use {', '.join(sorted(JSON_KEYS))}")
    for name, value in values.items():
        expected = JSON_TYPES.get(name)
        if expected and not isinstance(value, expected):
            raise ValueError(f"{name} has the wrong type")
    return Fault(**values)


JSON_TYPES: dict[str, Any] = (
    dict.fromkeys(("method", "path", "table", "error", "message", "shape"), str)
    | dict.fromkeys(("truncated", "hang", "reset", "lose_iterator"), bool)
    | dict.fromkeys(("page", "times", "status", "retry_after"), int | None)
    | {"skip": int, "delay": int | float, "html": str | None}
)
