"""Small request and response types for webhooks, probes and metrics.

They replace Django's HttpRequest and HttpResponse, whose creation took half the time of a cache hit
(docs/understanding/decisions.md)."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
RawHeaders = Sequence[tuple[bytes, bytes]]  # names in lower case


@lru_cache(maxsize=100)  # only names from our own code, so all of them fit
def _raw_name(name: str) -> bytes:
    return name.lower().encode()


class Headers:
    """Finds a header by its name, in any case."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        """`values` by name, in lower case."""
        self._values = values

    @classmethod
    def from_raw(cls, raw: RawHeaders) -> "Headers":
        """Repeated headers are joined with commas.
        https://www.rfc-editor.org/rfc/rfc9110#section-5.3"""
        values: dict[bytes, bytes] = {}
        for name, value in raw:
            values[name] = b"%b,%b" % (values[name], value) if name in values else value
        return cls(values)

    def get(self, name: str, default: str = "") -> str:
        value = self._values.get(_raw_name(name))
        return default if value is None else value.decode("latin-1")


class Request:
    __slots__ = ("_scheme", "headers", "method", "path", "query")

    def __init__(
        self, method: str, path: str, headers: Headers, scheme: str, query: str = ""
    ) -> None:
        self.method, self.path, self.query = method, path, query
        self.headers = headers
        self._scheme = scheme

    @classmethod
    def from_scope(cls, scope: Scope) -> "Request":
        """Raises UnicodeDecodeError if the query is not UTF-8."""
        headers, query = Headers.from_raw(scope["headers"]), scope["query_string"].decode()
        return cls(scope["method"], scope["path"], headers, scope["scheme"], query)

    @property
    def scheme(self) -> str:
        """`https` or `http`, as the client used it: a proxy in front may end TLS."""
        forwarded = self.headers.get("X-Forwarded-Proto").partition(",")[0].strip()
        if not forwarded:
            return self._scheme
        return "https" if forwarded == "https" else "http"


class Response:
    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        content_type: bytes = b"text/plain",
        headers: RawHeaders = (),
    ) -> None:
        self.body, self.status = body, status
        length = b"%d" % len(body)
        self.headers = [(b"content-type", content_type), (b"content-length", length), *headers]

    async def send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


def json_response(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value).encode(), status, b"application/json")


def error_response(status: int, message: str) -> Response:
    """The body is `{"error": message}`."""
    return json_response({"error": message}, status)
