"""How a request is handled: log, token, limits, fault, latency, route."""

import asyncio
import logging
import time
from urllib.parse import parse_qs

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

from sandbox.airtable.api.request import ApiRequest
from sandbox.airtable.api.request_log import LoggedRequest
from sandbox.airtable.api.routes import api_router
from sandbox.airtable.api.state import State
from sandbox.airtable.common.access import authenticate
from sandbox.airtable.common.errors import AirtableError, url_too_long
from sandbox.airtable.common.responses import error_response
from sandbox.airtable.control.routes import control_router
from sandbox.airtable.faults import effects
from sandbox.airtable.faults.fault import Fault, RequestInfo

CONTROL_PATH = "/_sandbox/"
MAX_URL_LENGTH = 16_000
logger = logging.getLogger(__name__)


class App:
    """An ASGI application. The limits count a request on arrival, before faults and latency."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.api = GZipMiddleware(api_router(state), minimum_size=200, compresslevel=1)
        self.control = control_router(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(CONTROL_PATH):
            await self.control(scope, receive, send)
            return
        entry = _log_entry(scope)
        self.state.log.add(entry)
        try:
            await self._respond(scope, receive, _recording(entry, send))
        except Exception:
            logger.exception("The sandbox failed to handle a request")
            raise
        finally:
            entry.finished_at = entry.finished_at or time.monotonic()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await ApiRequest.read(scope, receive)
        except AirtableError as error:
            await error_response(error)(scope, receive, send)
            return
        rejection = self._rejection(request, scope[effects.ARRIVED_AT])
        fault = self.state.faults.take(self._info(request))
        await asyncio.sleep(self.state.next_latency())
        if fault is not None:
            await effects.wait_before(fault)
            if fault.lose_iterator:
                self.state.iterators.delete(request.offset)
            elif await self._apply(fault, _for_routes(scope, request), receive, send):
                return
        if rejection is not None:
            await error_response(rejection)(scope, receive, send)
            return
        await self.api(_for_routes(scope, request), receive, send)

    async def _apply(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
        """True if the fault replaced the response."""
        if fault.hang:
            await effects.hang(receive)
        elif fault.reset:
            await effects.reset(scope, receive)
        elif fault.truncated:
            await effects.truncate(self.api, scope, receive, send)
        elif fault.has_response:
            await effects.fault_response(fault)(scope, receive, send)
        else:
            return False
        return True

    def _rejection(self, request: ApiRequest, arrived_at: float) -> AirtableError | None:
        """The error for a long URL, a wrong token or an exceeded limit. Sets `request.token`."""
        if request.url_length >= MAX_URL_LENGTH:
            return url_too_long()
        try:
            request.token = authenticate(request.authorization, self.state.tokens)
        except AirtableError as error:
            return error
        return self.state.limits.check(request.base_id, arrived_at, data=not request.is_meta)

    def _info(self, request: ApiRequest) -> RequestInfo:
        page = None
        if request.lists_records:
            page = self.state.iterators.page_number(request.offset)
        return RequestInfo(request.method, request.path, self._table_names(request), page)

    def _table_names(self, request: ApiRequest) -> tuple[str, ...]:
        base = self.state.bases.get(request.base_id)
        table = base.find_table(request.table) if base else None
        return (table.id, table.name) if table else (request.table,)


def _for_routes(scope: Scope, request: ApiRequest) -> Scope:
    path = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
    return {**scope, "path": path, "sandbox.request": request}


def _log_entry(scope: Scope) -> LoggedRequest:
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return LoggedRequest(scope["method"], scope["path"], query, scope[effects.ARRIVED_AT])


def _recording(entry: LoggedRequest, send: Send) -> Send:
    """Completes the log entry before the response ends, so that the client sees it complete."""

    async def record(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
        elif not message.get("more_body", False):
            entry.finished_at = time.monotonic()
        await send(message)

    return record
