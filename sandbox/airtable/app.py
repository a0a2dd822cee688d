"""The way of a request: log, authentication, limits, fault, latency, route."""

import asyncio
import logging
import time
from urllib.parse import parse_qs

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

from sandbox.airtable import trouble
from sandbox.airtable.access import authenticate
from sandbox.airtable.answers import error_answer
from sandbox.airtable.control import control_api
from sandbox.airtable.errors import AirtableError, url_too_long
from sandbox.airtable.faults import Asked, Fault
from sandbox.airtable.incoming import Incoming
from sandbox.airtable.request_log import LoggedRequest
from sandbox.airtable.routes import api
from sandbox.airtable.state import State

CONTROL = "/_sandbox/"
LONGEST_URL = 16_000
logger = logging.getLogger(__name__)


class App:
    """An ASGI application. Limits count a request when it arrives, whatever becomes of it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.api = GZipMiddleware(api(state), minimum_size=200, compresslevel=1)
        self.control = control_api(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(CONTROL):
            await self.control(scope, receive, send)
            return
        entry = _logged(scope)
        self.state.log.add(entry)
        try:
            await self._serve(scope, receive, _recording(entry, send))
        except Exception:
            logger.exception("The sandbox itself failed")
            raise
        finally:
            entry.finished_at = entry.finished_at or time.monotonic()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            incoming = await Incoming.read(scope, receive)
        except AirtableError as error:
            await error_answer(error)(scope, receive, send)
            return
        refusal = self._refusal(incoming)
        fault = self.state.faults.due(self._asked(incoming))
        await asyncio.sleep(self.state.next_latency())
        if fault is not None:
            await trouble.wait_before(fault)
            if await self._befall(fault, incoming, scope, receive, send):
                return
        if refusal is not None:
            await error_answer(refusal)(scope, receive, send)
            return
        await self.api(_for_routes(scope, incoming), receive, send)

    async def _befall(
        self, fault: Fault, incoming: Incoming, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """Whether the fault has taken the place of the answer."""
        if fault.lose_iterator:
            self.state.iterators.forget(incoming.offset)
            return False
        if fault.hang:
            await trouble.hang(receive)
        elif fault.reset:
            await trouble.reset(scope, receive)
        elif fault.truncated:
            await trouble.truncate(self.api, _for_routes(scope, incoming), receive, send)
        elif fault.answers:
            await trouble.own_answer(fault)(scope, receive, send)
        else:
            return False
        return True

    def _refusal(self, incoming: Incoming) -> AirtableError | None:
        if incoming.url_length >= LONGEST_URL:
            return url_too_long()
        try:
            incoming.token = authenticate(incoming.authorization, self.state.tokens)
        except AirtableError as error:
            return error
        return self.state.limits.check(incoming.base_id, data=not incoming.is_meta)

    def _asked(self, incoming: Incoming) -> Asked:
        page = None
        if incoming.lists_records:
            page = self.state.iterators.page_number(incoming.offset)
        return Asked(incoming.method, incoming.path, self._table_names(incoming), page)

    def _table_names(self, incoming: Incoming) -> tuple[str, ...]:
        base = self.state.bases.get(incoming.base_id)
        table = base.find_table(incoming.table) if base else None
        return (table.id, table.name) if table else (incoming.table,)


def _for_routes(scope: Scope, incoming: Incoming) -> Scope:
    path = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
    return {**scope, "path": path, "sandbox.incoming": incoming}


def _logged(scope: Scope) -> LoggedRequest:
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return LoggedRequest(scope["method"], scope["path"], query, time.monotonic())


def _recording(entry: LoggedRequest, send: Send) -> Send:
    """The entry is complete before the client can know that the answer is."""

    async def record(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
        elif not message.get("more_body", False):
            entry.finished_at = time.monotonic()
        await send(message)

    return record
