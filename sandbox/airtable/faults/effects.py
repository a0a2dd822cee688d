"""Applies a fault to a request's connection or response."""

import asyncio
import socket
import struct
from typing import Any, cast

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.airtable.common.arrival import arrival_time
from sandbox.airtable.common.responses import JsonResponse
from sandbox.airtable.faults.fault import Fault

TRANSPORT = "sandbox.transport"
ARRIVED_AT = "sandbox.arrived_at"


class Protocol(HttpToolsProtocol):
    """Adds to the scope the transport, for faults that close the connection, and when the request
    arrived, for the log and the limits."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope = cast("dict[str, Any]", self.scope)
        scope[TRANSPORT] = self.transport
        scope[ARRIVED_AT] = arrival_time(self.transport.get_extra_info("socket"))


async def wait_before(fault: Fault) -> None:
    """The delay and the callback that come before the response."""
    await asyncio.sleep(fault.delay)
    if fault.before is not None:
        await asyncio.to_thread(fault.before)


def fault_response(fault: Fault) -> Response:
    """The response that replaces the normal one. See Fault.has_response."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.html is not None:
        return HTMLResponse(fault.html, fault.status or 200, headers)
    if fault.json is not None:
        return JsonResponse(fault.json, fault.status or 200, headers)
    return JsonResponse(fault.error_body, fault.status or 500, headers)


async def hang(receive: Receive) -> None:
    """Waits until the client closes the connection or the server stops."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset(scope: Scope, receive: Receive) -> None:
    """The client gets "connection reset by peer"."""
    transport: asyncio.Transport = scope[TRANSPORT]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await hang(receive)


async def truncate(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends half of the body that Content-Length announces."""

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
