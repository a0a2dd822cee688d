"""Checks, at the start of each worker, that uvicorn works as `Connection` and `StrictProtocol`
expect: they use names of uvicorn that its documentation does not promise."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from siftly.server.connection import Connection
from siftly.server.fast_path import FastAnswer
from siftly.server.h11_protocol import OVERRIDDEN
from siftly.server.http import Headers, Receive, Response, Scope, Send

SECONDS = 10.0
_REMEDY = "Install the version of uvicorn that requirements.txt names."
_HEAD = b"POST /check HTTP/1.1\r\nHost: siftly\r\n"
_PLAIN = _HEAD + b"Content-Length: 2\r\n\r\nhi"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
_UPGRADE = _HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"
# The requests of one connection, one after the other, and the end of each response.
_EXCHANGES = (
    (_PLAIN, b"the fast path got hi."),
    (_CHUNKED, b"the application got hi."),
    (_UPGRADE, b"the application got hi."),
    (_PLAIN, b"the fast path got hi."),
)


class UvicornChanged(Exception):
    pass


class _Application:
    def _fast_answer(self, _: Headers, __: str, body: bytes) -> tuple[bytes, bytes]:
        answer = b"the fast path got " + body + b"."
        return b"content-length: %d\r\n" % len(answer), answer

    @property
    def fast_answers(self) -> Mapping[bytes, FastAnswer]:
        return {b"/check": self._fast_answer}

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message.get("more_body"):
            message = {**message, **await receive()}
        await Response(b"the application got " + message["body"] + b".").send(send)


async def check_protocol(options: Mapping[str, Any]) -> None:
    """`options` are uvicorn's for the worker. Raises UvicornChanged."""
    if missing := [name for name in OVERRIDDEN if not hasattr(H11Protocol, name)]:
        raise UvicornChanged(f"uvicorn's protocol has no {', '.join(missing)}. {_REMEDY}")
    config = Config(_Application(), **{**options, "lifespan": "off", "log_config": None})
    config.load()
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    state = ServerState()
    await loop.connect_accepted_socket(lambda: Connection(config, state, {}), theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        for request, end in _EXCHANGES:
            writer.write(request)
            async with asyncio.timeout(SECONDS):
                await reader.readuntil(end)
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise UvicornChanged(f"uvicorn's protocol gave another response. {_REMEDY}") from error
    finally:
        writer.close()
