"""Webhooks of a sandbox in this process, and a receiver of pings."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.airtable.bases import Base
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.hook import Webhook
from sandbox.airtable.webhooks.specification import Specification

EVERYTHING = ("tableData", "tableFields", "tableMetadata")


def specification(
    *data_types: str, includes: dict[str, Any] | None = None, **filters: Any
) -> dict[str, Any]:
    options = {"filters": {"dataTypes": list(data_types or EVERYTHING)} | filters}
    return {"options": options | ({"includes": includes} if includes else {})}


def watch(sandbox: Sandbox, base: Base, wanted: dict[str, Any], url: str | None = None) -> Webhook:
    return sandbox.webhooks.create(base, Specification.parse(wanted), url)


def contents(hook: Webhook) -> list[dict[str, Any]]:
    """All payloads so far."""
    return [each.content for each in hook.payloads]


def changed(hook: Webhook, table_id: str) -> dict[str, Any]:
    """What the only payload says of a table."""
    [content] = contents(hook)
    said: dict[str, Any] = content["changedTablesById"][table_id]
    return said


@dataclass(frozen=True)
class Ping:
    body: str
    mac: str
    at: float


@dataclass
class Receiver:
    """Answers pings, with the statuses given first and 204 from then on."""

    statuses: list[int] = field(default_factory=list)
    body: bytes = b""
    delay: float = 0.0
    pings: list[Ping] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        mac = request.headers["X-Airtable-Content-MAC"]
        self.pings.append(Ping(body.decode(), mac, time.monotonic()))
        time.sleep(self.delay)
        with suppress(ConnectionError):  # the sandbox may have given up
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/changes/"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
