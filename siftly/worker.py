"""uvicorn under gunicorn, ending without losing a call."""

import asyncio
import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from siftly.protocol import Protocol

FAREWELL_SECONDS = 1.0


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


class Worker(UvicornWorker):  # type: ignore[misc]
    """With the loop and parser that were measured (docs/decisions.md)."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": Protocol,
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
