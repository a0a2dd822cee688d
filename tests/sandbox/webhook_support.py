"""Webhooks of a sandbox in this process, a receiver of notifications, and a base with computed
fields."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.specification import Specification
from sandbox.airtable.webhooks.webhook import Webhook
from tests.support.servers.threaded_server import served_in_a_thread

ALL_DATA_TYPES = ("tableData", "tableFields", "tableMetadata")


def specification(
    *data_types: str, includes: dict[str, Any] | None = None, **filters: Any
) -> dict[str, Any]:
    options = {"filters": {"dataTypes": list(data_types or ALL_DATA_TYPES)} | filters}
    return {"options": options | ({"includes": includes} if includes else {})}


def watch(
    sandbox: Sandbox, base: Base, specification: dict[str, Any], url: str | None = None
) -> Webhook:
    return sandbox.webhooks.create(base, Specification.parse(specification), url)


def contents(webhook: Webhook) -> list[dict[str, Any]]:
    """All payloads so far."""
    return [each.content for each in webhook.payloads]


def changed(webhook: Webhook, table_id: str) -> dict[str, Any]:
    """The changes of a table in the only payload."""
    [content] = contents(webhook)
    changes: dict[str, Any] = content["changedTablesById"][table_id]
    return changes


def base_with_computed_fields(inverse: str) -> Base:
    """Owners have computed fields of their clients, and houses of their owners.

    `inverse` names the link field from clients to owners; "" for none.
    """
    through = {"recordLinkFieldId": "Clients"}
    owners = [
        Field("Name"),
        Field("Clients", "multipleRecordLinks", links_to="Clients", inverse=inverse),
        Field("Plans", "multipleLookupValues", options=through | {"fieldIdInLinkedTable": "Plan"}),
        Field("How many", "count", options=through),
        Field("Number", "autoNumber"),
        Field("Loud", "formula", options={"formula": "UPPER({Name})"}),
    ]
    clients = [Field("Name"), Field("Plan", "singleSelect")]
    if inverse:
        clients.append(Field("Owners", "multipleRecordLinks", links_to="Owners", inverse="Clients"))
    lookup = {"recordLinkFieldId": "Owner", "fieldIdInLinkedTable": "Plans"}
    houses = [
        Field("Street"),
        Field("Owner", "multipleRecordLinks", links_to="Owners"),
        Field("Plans", "multipleLookupValues", options=lookup),
    ]
    tables = [Table("Owners", owners), Table("Clients", clients), Table("Houses", houses)]
    return Base("appComputed000000", "", tables)


@dataclass(frozen=True)
class ReceivedNotification:
    body: str
    mac: str
    received_at: float


@dataclass
class Receiver:
    """Answers notifications: first with the given statuses, then with 204."""

    statuses: list[int] = field(default_factory=list)
    body: bytes = b""
    delay: float = 0.0
    notifications: list[ReceivedNotification] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        mac = request.headers["X-Airtable-Content-MAC"]
        self.notifications.append(ReceivedNotification(body.decode(), mac, time.monotonic()))
        time.sleep(self.delay)
        with suppress(ConnectionError):  # the sandbox may have closed the connection
            request.send_response(self.statuses.pop(0) if self.statuses else 204)
            request.end_headers()
            request.wfile.write(self.body)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/changes/"
    with served_in_a_thread(server):
        yield receiver
