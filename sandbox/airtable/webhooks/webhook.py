"""One webhook: its payloads, its lifetime, and the state of its notifications."""

import base64
import secrets
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sandbox.airtable.common.ids import new_id
from sandbox.airtable.data.bases import Base
from sandbox.airtable.webhooks.specification import Specification

MAX_PAGE_SIZE = 50


@dataclass(frozen=True)
class StoredPayload:
    number: int
    created_at: float
    content: dict[str, Any]


@dataclass
class NotificationState:
    due_at: float | None = None
    retry_number: int = 0
    in_progress: bool = False
    extra: int = 0
    """Notifications to send without a change. See Webhooks.notify()."""
    last_result: dict[str, Any] | None = None
    last_success: str | None = None

    def schedule(self, moment: float) -> bool:
        """False if a notification is scheduled already: one covers all changes until it is sent."""
        if self.due_at is not None:
            return False
        self.due_at = moment
        return True

    def cancel(self) -> None:
        self.due_at, self.retry_number = None, 0


@dataclass
class Webhook:
    """Times are of Webhooks.clock."""

    base: Base
    specification: Specification
    notification_url: str | None
    expires_at: float
    id: str = field(default_factory=lambda: new_id("ach"))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    notifications_enabled: bool = False
    is_invalid: bool = False
    next_number: int = 1
    notification: NotificationState = field(default_factory=NotificationState)
    payloads: deque[StoredPayload] = field(default_factory=deque)

    @property
    def secret_base64(self) -> str:
        return base64.b64encode(self.secret).decode()

    def is_active(self, now: float) -> bool:
        return not self.is_invalid and now < self.expires_at

    def append(self, content: dict[str, Any], now: float) -> None:
        self.payloads.append(StoredPayload(self.next_number, now, content))
        self.next_number += 1

    def purge(self, oldest: float) -> None:
        """Deletes the payloads that were created before `oldest`."""
        while self.payloads and self.payloads[0].created_at < oldest:
            self.payloads.popleft()

    def page(self, cursor: int, limit: int) -> dict[str, Any]:
        """Payloads from the cursor on, or from the first one that was not purged.

        https://airtable.com/developers/web/api/list-webhook-payloads
        """
        first = self.payloads[0].number if self.payloads else self.next_number
        start = max(0, cursor - first)
        page = list(islice(self.payloads, start, start + limit))
        return {
            "payloads": [each.content for each in page],
            "cursor": page[-1].number + 1 if page else cursor,
            "mightHaveMore": start + len(page) < len(self.payloads),
        }
