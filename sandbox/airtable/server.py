"""A sandbox that runs in this process: uvicorn in a daemon thread."""

import asyncio
import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import uvicorn

from sandbox.airtable.access import ALL_SCOPES, CREATOR, Token
from sandbox.airtable.app import App
from sandbox.airtable.bases import Base
from sandbox.airtable.faults import Faults
from sandbox.airtable.iterators import RecordIterators
from sandbox.airtable.limits import Clock, Limits
from sandbox.airtable.request_log import LoggedRequest
from sandbox.airtable.state import State
from sandbox.airtable.trouble import Protocol
from sandbox.airtable.webhooks.feed import Webhooks
from sandbox.airtable.webhooks.pings import Pinger
from sandbox.airtable.webhooks.settings import WebhookSettings

HOST = "127.0.0.1"
BACKLOG = 4096
TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but a sandbox
AS_AIRTABLE = WebhookSettings()


class Sandbox:
    """Stands in for Airtable from start() to stop(), or inside a with statement.

    Stopping cuts every connection and forgets the iterators of running sweeps; what is in the
    bases, the log, the limits and the faults stays.
    """

    def __init__(
        self,
        bases: Iterable[Base],
        *,
        token: str = TOKEN,
        latency: float = 0.0,
        latency_jitter: bool = False,
        requests_per_second: float | None = 5,
        lockout_seconds: float = 30.0,
        monthly_quota: int | None = None,
        iterator_seconds: float = 300.0,
        webhooks: WebhookSettings = AS_AIRTABLE,
        port: int = 0,
    ) -> None:
        self.token = token
        self.port = port
        self.clock = Clock()
        self.state = State(
            {base.id: base for base in bases},
            [Token(token)],
            self.clock,
            Limits(self.clock, requests_per_second, lockout_seconds, monthly_quota),
            RecordIterators(self.clock, iterator_seconds),
            Webhooks(self.clock, webhooks),
            latency,
            latency_jitter,
        )
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> list[LoggedRequest]:
        """What was asked so far, oldest first; a copy."""
        return self.state.log.entries()

    @property
    def faults(self) -> Faults:
        return self.state.faults

    @property
    def limits(self) -> Limits:
        return self.state.limits

    @property
    def webhooks(self) -> Webhooks:
        return self.state.webhooks

    @property
    def latency(self) -> float:
        return self.state.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.state.latency = seconds

    def base(self, base_id: str = "") -> Base:
        if base_id:
            return self.state.bases[base_id]
        if len(self.state.bases) != 1:
            raise ValueError("There is more than one base: name it by its id")
        return next(iter(self.state.bases.values()))

    def add_token(
        self,
        secret: str,
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        bases: Iterable[str] | None = None,
        permission_level: str = CREATOR,
    ) -> None:
        """One more token, with less than all rights."""
        reach = None if bases is None else frozenset(bases)
        self.state.tokens.append(Token(secret, frozenset(scopes), reach, permission_level))

    def start(self) -> Self:
        """Raises OSError when the port is taken."""
        if self._server is None:
            listener = _bound(self.port)
            self.port = listener.getsockname()[1]
            self._server = Server(App(self.state), listener, Pinger(self.webhooks))
            self._server.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
            self.state.iterators.forget()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class Server:
    """One run of uvicorn, from a listening socket until it is stopped."""

    def __init__(self, app: App, listener: socket.socket, pinger: Pinger) -> None:
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
        self._uvicorn = _Uvicorn(config, pinger)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="airtable-sandbox", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._uvicorn.ready.wait()
        if not self._uvicorn.started:
            raise RuntimeError("The sandbox did not start")

    def stop(self) -> None:
        self._uvicorn.leave()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._listener])
        finally:
            self._uvicorn.ready.set()


class _Uvicorn(uvicorn.Server):
    """Stops at once: no client of a server that went down gets an orderly goodbye."""

    def __init__(self, config: uvicorn.Config, pinger: Pinger) -> None:
        super().__init__(config)
        self.pinger = pinger
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._leaving: asyncio.Event

    def leave(self) -> None:
        self._loop.call_soon_threadsafe(self._leaving.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        pings = asyncio.create_task(self.pinger.run())
        self.ready.set()
        await self._leaving.wait()
        pings.cancel()
        await asyncio.gather(pings, return_exceptions=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # uvicorn listens when it can read: a request that waited would count later than it came.
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener
