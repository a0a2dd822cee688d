"""uvicorn under gunicorn, ending without losing a call."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterator
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from siftly.server.logs import write_what_waits
from siftly.server.protocol import Protocol

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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """At the end uvicorn sends itself the signal once more, and the process dies of it: threads
        that wait for something hold it up no longer. What was logged is written before."""
        with super().capture_signals():
            yield
            write_what_waits()


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What uvicorn says while calls come in is said as all else is: in the background.
        said = logging.getLogger("uvicorn.error")
        said.handlers, said.propagate = [], True

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = GracefulServer(config=self.config)
        self._install_sigquit_handler()
        # gunicorn wraps its sockets; uvloop lets go of a real one when it closes it, and closes a
        # wrapper's a second time: by then the number may be another connection's.
        await server.serve(sockets=[each.sock for each in self.sockets])
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
