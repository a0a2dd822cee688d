"""An HTTP server on loopback that records POST bodies, instead of a chat's webhook or of Sentry."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.servers.threaded_server import served_in_a_thread


@dataclass
class Listener:
    url: str = ""
    status: int = 200
    location: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def alert_url(self) -> str:
        """As an address for ALERT_URLS."""
        return f"json://127.0.0.1:{self.port}/hook"

    def texts(self) -> list[str]:
        """The alerts that Apprise's `json://` sent."""
        alerts = [json.loads(body) for body in self.bodies]
        return [f"{alert['title']}: {alert['message']}" for alert in alerts]

    def envelopes(self) -> list[Any]:
        """The lines of the envelopes for Sentry, decoded.
        https://develop.sentry.dev/sdk/data-model/envelopes/"""
        lines = [line for body in self.bodies for line in body.decode().split("\n") if line]
        return [json.loads(line) for line in lines]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            listener.bodies.append(body)
            self.send_response(listener.status)
            self.send_header("Content-Length", "0")
            if listener.location:
                self.send_header("Location", listener.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.url = f"http://127.0.0.1:{server.server_address[1]}"
    with served_in_a_thread(server):
        yield listener
