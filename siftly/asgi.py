"""The way in. Calls go straight to their view: Django's own handler, whose middleware and threads
serve people and not calls, takes everything else (docs/decisions.md has the figures)."""

import os
import re
from collections.abc import Awaitable, Callable
from functools import cached_property, partial

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

from airtable_sync.changes.notifications import PINGS  # noqa: E402
from siftly import health  # noqa: E402
from siftly.metrics import metrics  # noqa: E402
from siftly.server.http import Receive, Request, Response, Scope, Send, refusal  # noqa: E402
from siftly.server.protocol import LARGEST_BODY, FastAnswer  # noqa: E402
from webhooks.platforms import PLATFORMS  # noqa: E402
from webhooks.views import at_once, webhook  # noqa: E402

View = Callable[[Request, bytes], Awaitable[Response]]

_WEBHOOK = re.compile(r"/webhooks/([^/]+)/?")
_PING = re.compile(r"/airtable/changes/?")


class _Gone(Exception):
    """The client hung up, or the server did because the body took too long."""


class _TooLarge(Exception):
    pass


class Application:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await health.lifespan(receive, send)
        elif scope["type"] == "http" and (path := _WEBHOOK.fullmatch(scope["path"])):
            await _call(scope, receive, send, partial(webhook, platform=path[1]))
        elif scope["type"] == "http" and _PING.fullmatch(scope["path"]):
            await _call(scope, receive, send, PINGS.received)
        elif scope["type"] == "http" and (probe := health.PROBES.get(scope["path"])):
            await (await probe()).send(send)
        elif scope["type"] == "http" and scope["path"] == "/metrics":
            await (await metrics(Request.of(scope))).send(send)
        else:
            await django(dict(scope), receive, send)

    @cached_property
    def at_once(self) -> dict[bytes, FastAnswer]:
        """By address: what our server asks first. Another server has no need of it."""
        paths = {f"/webhooks/{name}{end}": name for name in PLATFORMS for end in ("/", "")}
        return {path.encode(): partial(at_once, name, path) for path, name in paths.items()}


application = Application()


async def _call(scope: Scope, receive: Receive, send: Send, view: View) -> None:
    """How long a body may take to arrive is the server's to say: see `worker`."""
    try:
        body = await _body(receive)
        response = await view(Request.of(scope), body)
    except _Gone:
        return
    except _TooLarge:
        response = refusal(413, "The body is larger than 64 KiB.")
    except UnicodeDecodeError:
        response = refusal(400, "The address is not UTF-8.")
    await response.send(send)


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
