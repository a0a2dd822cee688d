"""The API's addresses. Paths are matched percent-encoded, so that %2F stays in a name."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from sandbox.airtable import meta, writing
from sandbox.airtable.access import READ, SCHEMA, WEBHOOK, WRITE
from sandbox.airtable.answers import error_answer
from sandbox.airtable.calls import Call, endpoint
from sandbox.airtable.errors import not_found
from sandbox.airtable.listing import list_records
from sandbox.airtable.presentation import Presentation
from sandbox.airtable.state import State
from sandbox.airtable.webhooks import routes as webhooks


def list_page(call: Call) -> dict[str, Any]:
    return list_records(call.table, call.incoming.parameters, call.state.iterators)


def get_record(call: Call) -> dict[str, Any]:
    record = writing.existing_record(call)
    return Presentation.of(call.table, call.incoming.parameters).record(call.table, record)


RECORDS = "/v0/{base}/{table}"
RECORD = "/v0/{base}/{table}/{record}"
HOOKS = "/v0/bases/{base}/webhooks"
HOOK = f"{HOOKS}/{{webhook}}"
ROUTES: list[tuple[str, str, Callable[[Call], Any], str]] = [
    ("GET", "/v0/meta/whoami", meta.who_am_i, ""),
    ("GET", "/v0/meta/bases", meta.bases, SCHEMA),
    ("GET", "/v0/meta/bases/{base}/tables", meta.base_schema, SCHEMA),
    ("GET", HOOKS, webhooks.list_webhooks, WEBHOOK),
    ("POST", HOOKS, webhooks.create_webhook, WEBHOOK),
    ("DELETE", HOOK, webhooks.delete_webhook, WEBHOOK),
    ("GET", f"{HOOK}/payloads", webhooks.list_payloads, WEBHOOK),
    ("POST", f"{HOOK}/refresh", webhooks.refresh_webhook, WEBHOOK),
    ("POST", f"{HOOK}/enableNotifications", webhooks.enable_notifications, WEBHOOK),
    ("POST", f"{RECORDS}/listRecords", list_page, READ),
    ("GET", RECORDS, list_page, READ),
    ("POST", RECORDS, writing.create_records, WRITE),
    ("PATCH", RECORDS, writing.update_records, WRITE),
    ("PUT", RECORDS, writing.update_records, WRITE),
    ("DELETE", RECORDS, writing.delete_records, WRITE),
    ("GET", RECORD, get_record, READ),
    ("PATCH", RECORD, writing.update_record, WRITE),
    ("PUT", RECORD, writing.update_record, WRITE),
    ("DELETE", RECORD, writing.delete_record, WRITE),
]


def api(state: State) -> Router:
    """Each path first finds the route of its method; what is left is no path of Airtable's."""
    routes = [
        Route(path, endpoint(state, answer, scope), methods=[method])
        for method, path, answer, scope in ROUTES
    ]
    every_method = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    rest = Route("/{path:path}", _no_such_path, methods=every_method)
    return Router([*routes, rest], redirect_slashes=False)


async def _no_such_path(_request: Request) -> Response:
    return error_answer(not_found())
