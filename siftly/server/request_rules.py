"""What every request has to keep, whatever its address: HTTP's rules that h11 leaves to the
application, and one limit for bodies. A request that breaks one is refused before its body is read,
and its connection is closed. https://www.rfc-editor.org/rfc/rfc9112"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from siftly.server.fast_path import HOST
from siftly.server.http import RawHeaders, Receive, Response, Scope, Send, error_response

MAX_BODY_BYTES = 64 * 1024
MAX_LENGTH_DIGITS = 8  # Python refuses to read numbers of thousands of digits
VERSIONS = ("1.0", "1.1")
# They would turn the connection into a tunnel, or send the request's secrets back.
REFUSED_METHODS = ("CONNECT", "TRACE")

_LENGTH = re.compile(rb"[0-9]+")
_ADDRESS = re.compile(rb"/[!-\"$-~]*")

HttpApplication = Callable[[Scope, bytes, Receive, Send], Awaitable[None]]


class _ClientDisconnected(Exception):
    """Or the server has closed the connection, because the body took too long."""


class _BodyTooLarge(Exception):
    pass


async def respond_within_rules(
    scope: Scope, receive: Receive, send: Send, application: HttpApplication
) -> None:
    """Call the application with the complete body. `Connection` limits how long a body may take to
    arrive."""
    refusal = find_refusal(scope)
    if refusal:
        await refusal.send(send)
        return
    try:
        body = await _read_body(receive)
    except _ClientDisconnected:
        return
    except _BodyTooLarge:
        await _too_large().send(send)
        return
    await application(scope, body, receive, send)


def find_refusal(scope: Scope) -> Response | None:
    """The response to a request that breaks a rule, judged by its head."""
    headers: RawHeaders = scope["headers"]
    names = [name for name, _ in headers]
    if scope["http_version"] not in VERSIONS:
        return _refused(505, "Use HTTP/1.1.")
    if scope["method"] in REFUSED_METHODS:
        return _refused(405, f"{scope['method']} is not possible here.")
    if not _ADDRESS.fullmatch(scope["raw_path"] + scope["query_string"]):
        return _refused(400, "The address has to start with a slash, in ASCII and without #.")
    if any(not HOST.fullmatch(value) for name, value in headers if name == b"host"):
        return _refused(400, "The Host header is invalid.")
    is_coded = b"transfer-encoding" in names
    if is_coded and (b"content-length" in names or scope["http_version"] == "1.0"):
        return _refused(400, "The length of the body is not clear.")
    lengths = [value for name, value in headers if name == b"content-length"]
    if not all(_LENGTH.fullmatch(each) for each in lengths):
        return _refused(400, "The Content-Length header is invalid.")
    return _too_large() if any(_is_too_large(each) for each in lengths) else None


def with_body(body: bytes, receive: Receive) -> Receive:
    """For an ASGI application: its first message is the body that was already read."""
    is_new = True

    async def receive_body_first() -> Mapping[str, Any]:
        nonlocal is_new
        if is_new:
            is_new = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_body_first


def _is_too_large(length: bytes) -> bool:
    return len(length) > MAX_LENGTH_DIGITS or int(length) > MAX_BODY_BYTES


def _too_large() -> Response:
    return _refused(413, "The body is larger than 64 KiB.")


def _refused(status: int, message: str) -> Response:
    response = error_response(status, message)
    response.headers.append((b"connection", b"close"))
    return response


async def _read_body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientDisconnected
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _BodyTooLarge
        if not message.get("more_body"):
            return body
