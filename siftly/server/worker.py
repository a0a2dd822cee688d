"""gunicorn's worker class: uvicorn with Siftly's protocol, and a shutdown that loses no call."""

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

from siftly.server.log_setup import close_log
from siftly.server.protocol import Protocol

DRAIN_SECONDS = 1.0


class GracefulServer(Server):
    """Drains its connections before it shuts down.

    uvicorn closes idle connections at once when it shuts down. A request that is arriving on one of
    them would be lost. This server first stops accepting connections. For DRAIN_SECONDS it then
    answers with `Connection: close`, so that clients close theirs."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.server_state.default_headers = [
            *self.server_state.default_headers,
            (b"connection", b"close"),
        ]
        await asyncio.sleep(DRAIN_SECONDS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Close the log before uvicorn raises the signal again. That ends the process at once:
        without `atexit`, and without waiting for its threads."""
        with super().capture_signals():
            yield
            close_log()


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn_worker has no type information
    """uvloop and httptools were the fastest in the measurements (docs/decisions.md)."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": Protocol,
        "lifespan": "on",
        "server_header": False,
        "proxy_headers": False,  # `Request.scheme` reads the proxy's header where it is needed
        "access_log": False,  # the answer to a call logs its own line
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn_worker gives uvicorn's logger gunicorn's handlers, which write in the foreground.
        logger = logging.getLogger("uvicorn.error")
        logger.handlers, logger.propagate = [], True

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = GracefulServer(config=self.config)
        self._install_sigquit_handler()
        # Pass real sockets, not gunicorn's wrappers. uvloop closes a wrapper a second time, when
        # its file descriptor may already belong to another connection.
        await server.serve(sockets=[each.sock for each in self.sockets])
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
