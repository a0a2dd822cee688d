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
HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0


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
    """httptools has no limit of its own for a request's head: neither for its size nor for how long
    it may take to arrive."""

    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.transport.close()

    def _expect_head(self) -> None:
        self._end_head()
        self._in_head, self._head_bytes = True, 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer:
            self._head_timer.cancel()


class Worker(UvicornWorker):  # type: ignore[misc]
    """With the loop and parser that were measured (docs/decisions.md)."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": GuardedProtocol,
        "lifespan": "on",
        "server_header": False,
        "access_log": False,  # one line a call is enough; answers log theirs
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = GracefulServer(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
