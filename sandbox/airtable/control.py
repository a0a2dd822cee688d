"""Routes under /_sandbox/ to look at and steer a sandbox of another process.

For this machine only: requests from elsewhere, or under another host name, are refused.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from sandbox.airtable.faults import FROM_JSON, Armed, Fault, fault_from_json
from sandbox.airtable.state import State
from sandbox.airtable.webhooks import control as webhooks

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
Handler = Callable[[Request], Awaitable[Response]]


class Control:
    def __init__(self, state: State) -> None:
        self.state = state

    async def show(self, _request: Request) -> Response:
        limits = self.state.limits
        return JSONResponse(
            {
                "requests": self.state.log.summary(),
                "calls_this_month": limits.calls_this_month,
                "monthly_quota": limits.monthly_quota,
                "requests_per_second": limits.requests_per_second,
                "locked_out": limits.locked_out(),
                "latency": self.state.latency,
                "latency_jitter": self.state.latency_jitter,
                "bases": list(self.state.bases),
                "faults": self._armed(),
            }
        )

    async def requests(self, _request: Request) -> Response:
        return JSONResponse({"requests": self.state.log.as_json()})

    async def clear_requests(self, _request: Request) -> Response:
        self.state.log.clear()
        return Response(status_code=204)

    async def latency(self, request: Request) -> Response:
        wanted = await _body(request)
        self.state.latency = _number(wanted, "seconds")
        self.state.latency_jitter = bool(wanted.get("jitter", False))
        return JSONResponse({"latency": self.state.latency, "jitter": self.state.latency_jitter})

    async def faults(self, _request: Request) -> Response:
        return JSONResponse({"faults": self._armed()})

    async def add_fault(self, request: Request) -> Response:
        number = self.state.faults.add(fault_from_json(await _body(request)))
        return JSONResponse({"id": number}, 201)

    async def remove_fault(self, request: Request) -> Response:
        found = self.state.faults.remove(request.path_params["number"])
        return Response(status_code=204 if found else 404)

    async def clear_faults(self, _request: Request) -> Response:
        self.state.faults.clear()
        return Response(status_code=204)

    async def reset(self, _request: Request) -> Response:
        """A new month without a lock-out. Faults, latency and log stay."""
        self.state.limits.reset()
        return Response(status_code=204)

    async def advance(self, request: Request) -> Response:
        self.state.clock.advance(_number(await _body(request), "seconds"))
        return Response(status_code=204)

    async def webhooks(self, _request: Request) -> Response:
        return JSONResponse(webhooks.show(self.state.webhooks))

    async def set_webhooks(self, request: Request) -> Response:
        webhooks.configure(self.state.webhooks, await _body(request))
        return Response(status_code=204)

    async def change_webhook(self, request: Request) -> Response:
        webhooks.act(self.state.webhooks, request.path_params["webhook"], await _body(request))
        return Response(status_code=204)

    def _armed(self) -> list[dict[str, Any]]:
        return [_shown(number, armed) for number, armed in self.state.faults.armed().items()]


ROUTES: list[tuple[str, str, Callable[[Control, Request], Awaitable[Response]]]] = [
    ("GET", "/_sandbox/", Control.show),
    ("GET", "/_sandbox/requests", Control.requests),
    ("DELETE", "/_sandbox/requests", Control.clear_requests),
    ("POST", "/_sandbox/latency", Control.latency),
    ("GET", "/_sandbox/faults", Control.faults),
    ("POST", "/_sandbox/faults", Control.add_fault),
    ("DELETE", "/_sandbox/faults", Control.clear_faults),
    ("DELETE", "/_sandbox/faults/{number:int}", Control.remove_fault),
    ("POST", "/_sandbox/reset", Control.reset),
    ("POST", "/_sandbox/clock", Control.advance),
    ("GET", "/_sandbox/webhooks", Control.webhooks),
    ("POST", "/_sandbox/webhooks", Control.set_webhooks),
    ("POST", "/_sandbox/webhooks/{webhook}", Control.change_webhook),
]


def control_api(state: State) -> Router:
    control = Control(state)
    routes = [
        Route(path, _guarded(partial(handler, control)), methods=[method])
        for method, path, handler in ROUTES
    ]
    return Router(routes, redirect_slashes=False)


def _guarded(handler: Handler) -> Handler:
    async def respond(request: Request) -> Response:
        if request.client is None or request.client.host not in LOOPBACK:
            return JSONResponse({"error": "this machine only"}, 403)
        if request.url.hostname not in LOOPBACK:
            return JSONResponse({"error": "this machine only"}, 403)
        try:
            return await handler(request)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    return respond


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ValueError("the body is not JSON") from error
    if isinstance(body, dict):
        return body
    raise ValueError("the body is not a JSON object")


def _number(body: dict[str, Any], name: str) -> float:
    value = body.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise ValueError(f"{name} is a number of seconds, not below 0")
    return float(value)


def _shown(number: int, armed: Armed) -> dict[str, Any]:
    """What was set, and how often it hit."""
    given = {
        each.name: getattr(armed.fault, each.name)
        for each in fields(Fault)
        if each.name in FROM_JSON and getattr(armed.fault, each.name) != each.default
    }
    return {"id": number, "seen": armed.seen, "hits": armed.hits, "fault": given}
