"""Routes requests. Calls, probes and metrics are answered here; Django's handler, whose middleware
and threads are made for browsers, gets everything else (docs/understanding/decisions.md has the
figures)."""

import re

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http.request import split_domain_port, validate_host

from siftly.mapping_switch import MappingSwitch
from siftly.server.fast_path import FastAnswer
from siftly.server.http import Receive, Request, Response, Scope, Send, error_response
from siftly.server.request_rules import respond_within_rules, with_body
from siftly.web_services import web_services

_WEBHOOK = re.compile(r"/webhooks/([^/%]+)/?")
_CHANGE_NOTIFICATION = re.compile(r"/airtable/changes/?")


class Application:
    def __init__(self) -> None:
        self._django = ASGIHandler()
        self._mapping_switch = MappingSwitch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._mapping_switch.lifespan(receive, send)
        elif scope["type"] == "http":
            await respond_within_rules(scope, receive, send, self._respond)

    async def _respond(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        request = Request.from_scope(scope)
        response = await self._own_response(scope["raw_path"].decode("ascii"), request, body)
        if not response and not _is_allowed_host(request):
            # Django would log an error with a traceback.
            response = error_response(400, "The Host header is not one of ALLOWED_HOSTS.")
        if response:
            await response.send(send)
        else:
            await self._django(dict(scope), with_body(body, receive), send)

    async def _own_response(self, path: str, request: Request, body: bytes) -> Response | None:
        """None for an address that Django has. The address is compared as it was sent:
        `/webhooks%2fretell/` is another one."""
        web = web_services()
        if webhook := _WEBHOOK.fullmatch(path):
            return await web.call_handler.handle(request, body, platform=webhook[1])
        if _CHANGE_NOTIFICATION.fullmatch(path):
            return await web.notification_receiver.receive(request, body)
        if probe := web.probes.by_path().get(path):
            return await probe()
        if path == "/metrics":
            return await web.metrics.respond(request)
        return None

    @property
    def fast_answers(self) -> dict[bytes, FastAnswer]:
        """The fast path of our server's protocol. Another server does not need it."""
        return web_services().call_handler.fast_answers


def _is_allowed_host(request: Request) -> bool:
    """As Django's HttpRequest.get_host, which also has the names for DEBUG."""
    host = request.headers.get("Host")
    local = [".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else []
    allowed = settings.ALLOWED_HOSTS or local
    return not host or validate_host(split_domain_port(host)[0], allowed)
