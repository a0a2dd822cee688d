"""Siftly's application on a socket, in a thread of the test's own process: it answers from what the
test has put into the replica."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from siftly import asgi
from siftly.server.connection import Connection
from siftly.server.worker import Worker


@contextmanager
def served(kind: type[Connection] = Connection) -> Iterator[tuple[str, int]]:
    """The server's address."""
    listener = socket.create_server(("127.0.0.1", 0))
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=_run, args=(loop, listener, kind))
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


def _run(loop: asyncio.AbstractEventLoop, listener: socket.socket, kind: type[Connection]) -> None:
    # What the worker's configuration sets, but for the lifespan: the test has built the services.
    options = {**Worker.CONFIG_KWARGS, "lifespan": "off"}
    config = Config(asgi.application, log_config=None, **options)
    config.load()
    state = ServerState()
    asyncio.set_event_loop(loop)
    server = loop.run_until_complete(
        loop.create_server(lambda: kind(config, state, {}, loop), sock=listener)
    )
    loop.run_forever()
    server.close()
    for each in list(state.connections):
        each.transport.abort()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
