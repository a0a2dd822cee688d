"""The API's paths. They are matched percent-encoded, so that a table's name may contain %2F."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from sandbox.airtable.api import list_records, meta, webhooks, write_records
from sandbox.airtable.api.endpoint import Call, endpoint
from sandbox.airtable.api.presentation import Presentation
from sandbox.airtable.api.state import State
from sandbox.airtable.common.access import READ, SCHEMA, WEBHOOK, WRITE
from sandbox.airtable.common.errors import not_found
from sandbox.airtable.common.responses import error_response


def list_page(call: Call) -> dict[str, Any]:
    return list_records.list_records(call.table, call.request.parameters, call.state.iterators)


def get_record(call: Call) -> dict[str, Any]:
    record = write_records.existing_record(call)
    return Presentation.of(call.table, call.request.parameters).to_json(call.table, record)


RECORDS = "/v0/{base}/{table}"
RECORD = "/v0/{base}/{table}/{record}"
WEBHOOKS = "/v0/bases/{base}/webhooks"
ONE_WEBHOOK = f"{WEBHOOKS}/{{webhook}}"
ROUTES: list[tuple[str, str, Callable[[Call], Any], str]] = [
    ("GET", "/v0/meta/whoami", meta.who_am_i, ""),
    ("GET", "/v0/meta/bases", meta.bases, SCHEMA),
    ("GET", "/v0/meta/bases/{base}/tables", meta.base_schema, SCHEMA),
    ("GET", WEBHOOKS, webhooks.list_webhooks, WEBHOOK),
    ("POST", WEBHOOKS, webhooks.create_webhook, WEBHOOK),
    ("DELETE", ONE_WEBHOOK, webhooks.delete_webhook, WEBHOOK),
    ("GET", f"{ONE_WEBHOOK}/payloads", webhooks.list_payloads, WEBHOOK),
    ("POST", f"{ONE_WEBHOOK}/refresh", webhooks.refresh_webhook, WEBHOOK),
    ("POST", f"{ONE_WEBHOOK}/enableNotifications", webhooks.enable_notifications, WEBHOOK),
    ("POST", f"{RECORDS}/listRecords", list_page, READ),
    ("GET", RECORDS, list_page, READ),
    ("POST", RECORDS, write_records.create_records, WRITE),
    ("PATCH", RECORDS, write_records.update_records, WRITE),
    ("PUT", RECORDS, write_records.update_records, WRITE),
    ("DELETE", RECORDS, write_records.delete_records, WRITE),
    ("GET", RECORD, get_record, READ),
    ("PATCH", RECORD, write_records.update_record, WRITE),
    ("PUT", RECORD, write_records.update_record, WRITE),
    ("DELETE", RECORD, write_records.delete_record, WRITE),
]


def api_router(state: State) -> Router:
    """The last route answers 404 for all paths and methods that the others do not match."""
    routes = [
        Route(path, endpoint(state, handle, scope), methods=[method])
        for method, path, handle, scope in ROUTES
    ]
    every_method = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    rest = Route("/{path:path}", _no_such_path, methods=every_method)
    return Router([*routes, rest], redirect_slashes=False)


async def _no_such_path(_request: Request) -> Response:
    return error_response(not_found())
