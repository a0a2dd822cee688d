"""gunicorn's worker class: uvicorn with Siftly's protocol, and a shutdown that loses no call."""

import asyncio
import contextlib
import logging
import os
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from siftly.server.connection import Connection
from siftly.server.log_setup import close_log
from siftly.server.protocol_check import UvicornChanged, check_protocol

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 1.0
MAX_HEAD_BYTES = 32 * 1024  # also of the trailers after a body
# The others are of Redis, Airtable, the database and the log; far fewer were ever seen.
OPEN_FILES = Connection.MAX_CONNECTIONS + 500
CHECK_ARBITER_SECONDS = 0.5
ORPHAN_SECONDS = 3.0  # for the last responses of a worker whose arbiter is gone


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
    """uvloop was the fastest event loop, and h11 is the strictest parser:
    docs/understanding/decisions.md."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": Connection,
        "ws": "none",
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
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

    def init_process(self) -> None:
        allow_open_files(OPEN_FILES)
        super().init_process()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        try:
            await check_protocol(self.CONFIG_KWARGS)
        except UvicornChanged as error:
            logger.critical("The server can't start: %s", error)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        server = GracefulServer(config=self.config)
        self._install_sigquit_handler()
        watching = asyncio.create_task(self._stop_without_arbiter(server))
        # Pass real sockets, not gunicorn's wrappers. uvloop closes a wrapper a second time, when
        # its file descriptor may already belong to another connection.
        await server.serve(sockets=[each.sock for each in self.sockets])
        watching.cancel()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def _stop_without_arbiter(self, server: Server) -> None:
        """A killed arbiter can't end its workers. They would keep the port, and nobody would
        restart them."""
        while os.getppid() == self.ppid:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(CHECK_ARBITER_SECONDS)
        logger.error("gunicorn's main process is gone. This worker ends.")
        server.should_exit = True
        await asyncio.sleep(ORPHAN_SECONDS)
        close_log()
        os._exit(1)


def allow_open_files(wanted: int) -> None:
    """Let this process open so many files, as far as the system allows. Without a free file
    descriptor it could accept no connection, and nothing would say so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning(
            "The system allows this process %d open files; busy hours may need %d. Raise the "
            "limit (`ulimit -n %d`).",
            *(allowed, wanted, wanted),
        )
