"""Routes requests. Calls, probes and metrics are answered here; Django's handler, whose middleware
and threads are made for browsers, gets everything else (docs/decisions.md has the figures)."""

import re
from collections.abc import Awaitable, Callable
from functools import partial

from django.core.handlers.asgi import ASGIHandler

from siftly.server.http import Receive, Request, Response, Scope, Send, error_response
from siftly.server.protocol import FastAnswer
from siftly.server.request_limits import MAX_BODY_BYTES
from siftly.web_services import web_services

Handler = Callable[[Request, bytes], Awaitable[Response]]

_WEBHOOK = re.compile(r"/webhooks/([^/]+)/?")
_CHANGE_NOTIFICATION = re.compile(r"/airtable/changes/?")


class _ClientDisconnected(Exception):
    """Or the server has closed the connection, because the body took too long."""


class _BodyTooLarge(Exception):
    pass


class Application:
    def __init__(self) -> None:
        self._django = ASGIHandler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await web_services().lifecycle.lifespan(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        web, path = web_services(), scope["path"]
        if webhook := _WEBHOOK.fullmatch(path):
            handler = partial(web.call_handler.handle, platform=webhook[1])
            await _respond_to_body(scope, receive, send, handler)
        elif _CHANGE_NOTIFICATION.fullmatch(path):
            await _respond_to_body(scope, receive, send, web.notification_receiver.receive)
        elif probe := web.probes.by_path().get(path):
            await (await probe()).send(send)
        elif path == "/metrics":
            await (await web.metrics.respond(Request.from_scope(scope))).send(send)
        else:
            await self._django(dict(scope), receive, send)

    @property
    def fast_answers(self) -> dict[bytes, FastAnswer]:
        """The fast path of our server's protocol. Another server does not need it."""
        return web_services().call_handler.fast_answers


async def _respond_to_body(scope: Scope, receive: Receive, send: Send, handler: Handler) -> None:
    """`siftly/server/request_limits.py` limits how long a body may take to arrive."""
    try:
        body = await _read_body(receive)
        response = await handler(Request.from_scope(scope), body)
    except _ClientDisconnected:
        return
    except _BodyTooLarge:
        response = error_response(413, "The body is larger than 64 KiB.")
    except UnicodeDecodeError:
        response = error_response(400, "The address is not UTF-8.")
    await response.send(send)


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
