"""A running sandbox: Airtable's API on a port of this machine, in a thread of this process."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from sandbox.airtable.api.iterators import RecordIterators
from sandbox.airtable.api.request_log import LoggedRequest
from sandbox.airtable.api.state import State
from sandbox.airtable.app import App
from sandbox.airtable.common.access import ALL_SCOPES, CREATOR, Token
from sandbox.airtable.common.clock import Clock
from sandbox.airtable.data.bases import Base
from sandbox.airtable.faults.active_faults import ActiveFaults
from sandbox.airtable.faults.limits import Limits
from sandbox.airtable.uvicorn_server import HOST, UvicornServer, bind
from sandbox.airtable.webhooks.notifications import NotificationSender
from sandbox.airtable.webhooks.registry import Webhooks
from sandbox.airtable.webhooks.settings import WebhookSettings

TOKEN = "sandbox-token"  # noqa: S105 - only for the sandbox
DEFAULT_SETTINGS = WebhookSettings()


class Sandbox:
    """Serves from start() to stop(), or inside a with statement.

    stop() closes all connections and deletes the iterators of list requests. Bases, webhooks, log,
    limits and faults stay.
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
        webhooks: WebhookSettings = DEFAULT_SETTINGS,
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
        self._server: UvicornServer | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests so far, oldest first; a copy."""
        return self.state.log.entries()

    @property
    def faults(self) -> ActiveFaults:
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
        """Without an id: the only base. Raises ValueError if there are several."""
        if base_id:
            return self.state.bases[base_id]
        if len(self.state.bases) != 1:
            raise ValueError("There is more than one base: give the id")
        return next(iter(self.state.bases.values()))

    def add_token(
        self,
        secret: str,
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        bases: Iterable[str] | None = None,
        permission_level: str = CREATOR,
    ) -> None:
        """Adds a token with limited rights."""
        allowed = None if bases is None else frozenset(bases)
        self.state.tokens.append(Token(secret, frozenset(scopes), allowed, permission_level))

    def start(self) -> Self:
        """Raises OSError if the port is in use."""
        if self._server is None:
            listener = bind(self.port)
            self.port = listener.getsockname()[1]
            sender = NotificationSender(self.webhooks)
            self._server = UvicornServer(App(self.state), listener, sender)
            self._server.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
            self.state.iterators.delete()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
