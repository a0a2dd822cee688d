"""uvicorn under gunicorn, ending without losing a call."""

import asyncio
import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

FAREWELL_SECONDS = 1.0
TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 45\r\n\r\n{"error": "The body did not arrive in time."}'
)


class GracefulServer(Server):
    """uvicorn closes connections that are between two requests as soon as it has to end, and a
    request that is just coming in on one is lost. This server first takes no new connections, and
    says goodbye (`Connection: close`) in its answers for a while."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.server_state.default_headers = [
            *self.server_state.default_headers,
            (b"connection", b"close"),
        ]
        await asyncio.sleep(FAREWELL_SECONDS)
        await super().shutdown(sockets)


class GuardedProtocol(HttpToolsProtocol):
    """httptools has no limit of its own for the size of a request's head, nor uvicorn one for how
    long a request may take to arrive. One coarse timer a connection: two for each request would
    cost a hit a tenth of its time."""

    HEAD_BYTES = 64 * 1024
    HEAD_SECONDS = 30.0
    BODY_SECONDS = 10.0
    LOOK_SECONDS = 1.0

    _in_head = True
    _head_bytes = 0
    _due = float("inf")  # when what is awaited has to be there, by the loop's clock
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due = self.loop.time() + self.HEAD_SECONDS
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._due = self.loop.time() + self.HEAD_SECONDS

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._due = self.loop.time() + self.BODY_SECONDS
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._due = float("inf")
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.HEAD_BYTES:
            self.transport.close()

    def _look(self) -> None:
        if self.loop.time() <= self._due:
            self._timer = self.loop.call_later(self.LOOK_SECONDS, self._look)
            return
        if not self._in_head and not self.cycle.response_started and not self.pipeline:
            self.transport.write(TOO_SLOW)
        self.transport.close()


class Worker(UvicornWorker):  # type: ignore[misc]
    """With the loop and parser that were measured (docs/decisions.md)."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": GuardedProtocol,
        "lifespan": "on",
        "server_header": False,
        "proxy_headers": False,  # whoever needs to know of the proxy reads its headers
        "access_log": False,  # one line a call is enough; answers log theirs
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = GracefulServer(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
