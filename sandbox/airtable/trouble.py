"""What a fault does to one connection."""

import asyncio
import socket
import struct
from typing import Any

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.airtable.answers import JsonAnswer
from sandbox.airtable.faults import Fault

TRANSPORT = "sandbox.transport"


class Protocol(HttpToolsProtocol):
    """Lets a fault reach the connection itself."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[TRANSPORT] = self.transport


async def wait_before(fault: Fault) -> None:
    await asyncio.sleep(fault.delay)
    if fault.before is not None:
        await asyncio.to_thread(fault.before)


def own_answer(fault: Fault) -> Response:
    """The answer a fault brings with it."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.html is not None:
        return HTMLResponse(fault.html, fault.status or 200, headers)
    if fault.json is not None:
        return JsonAnswer(fault.json, fault.status or 200, headers)
    return JsonAnswer(fault.error_body, fault.status or 500, headers)


async def hang(receive: Receive) -> None:
    """Until the client goes away or the server stops."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset(scope: Scope, receive: Receive) -> None:
    """The client sees "connection reset by peer", not an orderly end."""
    transport: asyncio.Transport = scope[TRANSPORT]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await hang(receive)


async def truncate(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Content-Length promises the whole body, half of it comes."""

    async def send_half(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        body: bytes = message["body"]
        await send({**message, "body": body[: len(body) // 2], "more_body": True})

    await app(scope, receive, send_half)
    transport: asyncio.Transport = scope[TRANSPORT]
    transport.close()
    await hang(receive)
