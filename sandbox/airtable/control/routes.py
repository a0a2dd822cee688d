"""Routes under /_sandbox/ that show and change the state of a running sandbox.

Only for this machine: requests from elsewhere, or with another host name, get 403.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from sandbox.airtable.api.state import State
from sandbox.airtable.control import webhooks
from sandbox.airtable.faults.active_faults import ActiveFault
from sandbox.airtable.faults.fault import JSON_KEYS, Fault, fault_from_json

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
                "faults": self._active_faults(),
            }
        )

    async def requests(self, _request: Request) -> Response:
        return JSONResponse({"requests": self.state.log.as_json()})

    async def clear_requests(self, _request: Request) -> Response:
        self.state.log.clear()
        return Response(status_code=204)

    async def latency(self, request: Request) -> Response:
        body = await _body(request)
        self.state.latency = _number(body, "seconds")
        self.state.latency_jitter = bool(body.get("jitter", False))
        return JSONResponse({"latency": self.state.latency, "jitter": self.state.latency_jitter})

    async def faults(self, _request: Request) -> Response:
        return JSONResponse({"faults": self._active_faults()})

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
        """Starts a new month and ends lockouts. Faults, latency and log stay."""
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
        webhooks.run_action(
            self.state.webhooks, request.path_params["webhook"], await _body(request)
        )
        return Response(status_code=204)

    def _active_faults(self) -> list[dict[str, Any]]:
        return [_to_json(number, each) for number, each in self.state.faults.all().items()]


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


def control_router(state: State) -> Router:
    control = Control(state)
    routes = [
        Route(path, _local_only(partial(handler, control)), methods=[method])
        for method, path, handler in ROUTES
    ]
    return Router(routes, redirect_slashes=False)


def _local_only(handler: Handler) -> Handler:
    async def respond(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if client not in LOOPBACK or request.url.hostname not in LOOPBACK:
            return JSONResponse({"error": "only for this machine"}, 403)
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
        raise ValueError(f"{name} must be a number of seconds from 0")
    return float(value)


def _to_json(number: int, active: ActiveFault) -> dict[str, Any]:
    """The fault's values that are not the defaults, and its counters."""
    values = {
        each.name: getattr(active.fault, each.name)
        for each in fields(Fault)
        if each.name in JSON_KEYS and getattr(active.fault, each.name) != each.default
    }
    return {"id": number, "seen": active.seen, "hits": active.hits, "fault": values}
