"""Sends a request to the ASGI application in this process."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from siftly.asgi import application
from siftly.server.http import Request

RawHeaders = Mapping[str, str] | Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Also of an answer whose variables are in an address."""
        return unquote(self.body.decode())

    def json(self) -> Any:
        return json.loads(self.body)


def send(
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: RawHeaders = (),
    method: str = "POST",
    query: bytes = b"",
) -> Response:
    return asyncio.run(asend(path, body, headers, method, query))


async def asend(
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: RawHeaders = (),
    method: str = "POST",
    query: bytes = b"",
) -> Response:
    scope = _scope(path, headers, method, query)
    chunks = [body] if isinstance(body, bytes) else list(body)
    incoming = [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def collect(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, collect)
    start = sent[0]
    names = [(name.decode(), value.decode()) for name, value in start["headers"]]
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Response(start["status"], dict(names), content)


def request_with(headers: RawHeaders, path: str = "/") -> Request:
    """A request with these headers, as a platform adapter gets it."""
    path, _, query = path.partition("?")
    return Request.from_scope(_scope(path, headers, "POST", query.encode()))


def _scope(path: str, headers: RawHeaders, method: str, query: bytes) -> dict[str, Any]:
    if isinstance(headers, Mapping):
        headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if not any(name == b"host" for name, _ in headers):
        headers = [(b"host", b"testserver"), *headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
