"""Runs an ASGI application with uvicorn in a daemon thread, with notifications beside it."""

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from sandbox.airtable.faults.effects import Protocol
from sandbox.airtable.webhooks.notifications import NotificationSender

HOST = "127.0.0.1"
BACKLOG = 4096
# A connection that was accepted just before the end is known some turns of the event loop later.
QUIET_TURNS = 5


class UvicornServer:
    """One run, from a bound socket until stop()."""

    def __init__(self, app: ASGIApp, listener: socket.socket, sender: NotificationSender) -> None:
        config = uvicorn.Config(
            app,
            http=Protocol,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            backlog=BACKLOG,
            timeout_keep_alive=75,
        )
        self._uvicorn = _Uvicorn(config, sender)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="airtable-sandbox", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._uvicorn.ready.wait()
        if not self._uvicorn.started:
            raise RuntimeError("The sandbox did not start")

    def stop(self) -> None:
        self._uvicorn.request_stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._listener])
        finally:
            self._uvicorn.ready.set()


class _Uvicorn(uvicorn.Server):
    """Stops at once: closes all connections without waiting for responses, as a crash does."""

    def __init__(self, config: uvicorn.Config, sender: NotificationSender) -> None:
        super().__init__(config)
        self.sender = sender
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def request_stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        notifications = asyncio.create_task(self.sender.run())
        self.ready.set()
        await self._stopping.wait()
        notifications.cancel()
        await asyncio.gather(notifications, return_exceptions=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        quiet_turns = 0
        while quiet_turns < QUIET_TURNS:
            is_quiet = not (self.server_state.connections or self.server_state.tasks)
            quiet_turns = quiet_turns + 1 if is_quiet else 0
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            tasks = list(self.server_state.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)


def bind(port: int) -> socket.socket:
    """A bound socket that does not listen yet. Raises OSError if the port is in use.

    uvicorn listens when it is ready to read. With an earlier listen(), a request could wait in the
    backlog, and the limits would count it too late.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener
