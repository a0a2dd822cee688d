"""The way in. Calls go straight to their view: Django's own handler, whose middleware and threads
serve people and not calls, takes everything else (docs/decisions.md has the figures)."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

from django.core.handlers.asgi import ASGIRequest  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402

from airtable_sync.pings import PINGS  # noqa: E402
from siftly import health  # noqa: E402
from siftly.metrics import metrics  # noqa: E402
from webhooks.views import webhook  # noqa: E402

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
View = Callable[..., Awaitable[HttpResponse]]

BODY_SECONDS = 10.0
LARGEST_BODY = 64 * 1024
_WEBHOOK = re.compile(r"/webhooks/([^/]+)/?")
_PING = re.compile(r"/airtable/changes/?")


class _Gone(Exception):
    """The client hung up."""


class _TooLarge(Exception):
    pass


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await health.lifespan(receive, send)
    elif scope["type"] == "http" and (path := _WEBHOOK.fullmatch(scope["path"])):
        await _call(scope, receive, send, partial(webhook, platform=path[1]))
    elif scope["type"] == "http" and _PING.fullmatch(scope["path"]):
        await _call(scope, receive, send, PINGS.received)
    elif scope["type"] == "http" and (probe := health.PROBES.get(scope["path"])):
        await _respond(send, await probe())
    elif scope["type"] == "http" and scope["path"] == "/metrics":
        await _respond(send, await metrics(ASGIRequest(scope, BytesIO())))
    else:
        await django(dict(scope), receive, send)


async def _call(scope: Scope, receive: Receive, send: Send, view: View) -> None:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(receive)
        response = await view(ASGIRequest(scope, BytesIO()), body=body)
    except _Gone:
        return
    except TimeoutError:
        response = _error(408, "The body did not arrive in time.")
    except _TooLarge:
        response = _error(413, "The body is larger than 64 KiB.")
    except UnicodeDecodeError:
        response = _error(400, "The address is not UTF-8.")
    await _respond(send, response)


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise _TooLarge
        if not message.get("more_body"):
            return body


def _error(status: int, sentence: str) -> HttpResponse:
    return JsonResponse({"error": sentence}, status=status)


async def _respond(send: Send, response: HttpResponse) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": response.content})
