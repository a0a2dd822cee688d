"""One webhook: its log of payloads, how long it lives, and its pings' state."""

import base64
import secrets
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sandbox.airtable.bases import Base
from sandbox.airtable.ids import new_id
from sandbox.airtable.webhooks.specification import Specification

LARGEST_PAGE = 50


@dataclass(frozen=True)
class LoggedPayload:
    number: int
    at: float
    content: dict[str, Any]


@dataclass
class PingState:
    due_at: float | None = None
    retry_number: int = 0
    under_way: bool = False
    extra: int = 0
    """Pings without a reason, asked for by a test."""
    last_result: dict[str, Any] | None = None
    last_success: str | None = None

    def want(self, moment: float) -> bool:
        """False when one is due already, which covers what happens before it is sent."""
        if self.due_at is not None:
            return False
        self.due_at = moment
        return True

    def forget(self) -> None:
        self.due_at, self.retry_number = None, 0


@dataclass
class Webhook:
    """Times are of the feed's clock."""

    base: Base
    specification: Specification
    notification_url: str | None
    expires_at: float
    id: str = field(default_factory=lambda: new_id("ach"))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    notifications_enabled: bool = False
    invalid: bool = False
    next_number: int = 1
    ping: PingState = field(default_factory=PingState)
    payloads: deque[LoggedPayload] = field(default_factory=deque)

    @property
    def secret_base64(self) -> str:
        return base64.b64encode(self.secret).decode()

    def is_active(self, now: float) -> bool:
        return not self.invalid and now < self.expires_at

    def append(self, content: dict[str, Any], now: float) -> None:
        self.payloads.append(LoggedPayload(self.next_number, now, content))
        self.next_number += 1

    def purge(self, oldest: float) -> None:
        while self.payloads and self.payloads[0].at < oldest:
            self.payloads.popleft()

    def page(self, cursor: int, limit: int) -> dict[str, Any]:
        """Numbers go on where payloads were purged: a page may begin after the cursor.

        https://airtable.com/developers/web/api/list-webhook-payloads
        """
        first = self.payloads[0].number if self.payloads else self.next_number
        start = max(0, cursor - first)
        shown = list(islice(self.payloads, start, start + limit))
        return {
            "payloads": [each.content for each in shown],
            "cursor": shown[-1].number + 1 if shown else cursor,
            "mightHaveMore": start + len(shown) < len(self.payloads),
        }
