"""What processes have noted in Redis of Airtable, and of reading it: all of it is one command."""

import json
from dataclasses import dataclass
from datetime import datetime

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.airtable.errors import QuotaExceeded
from airtable_sync.cache.redis_store import CONFIRMED_AT, HOLD, Store
from airtable_sync.changes.shared_state import FEED_READ_AT


@dataclass(frozen=True, slots=True)
class Marks:
    """Moments are in milliseconds since 1970; 0: never."""

    requests: int  # to Airtable, this month
    confirmed_at: int  # when all of Airtable was asked for last
    feed_read_at: int  # by when the change feed was read to its end
    access_denied: str  # Airtable's word; empty while it lets us in
    blocked_by: str  # why Airtable is not asked: "", RateLimited or QuotaExceeded
    held: bool  # by a rollback

    @property
    def quota_used_up(self) -> bool:
        return self.blocked_by == QuotaExceeded.__name__


NOTHING_NOTED = Marks(0, 0, 0, "", "", held=False)


def command(store: Store, now: datetime) -> tuple[str | int, ...]:
    """For `Store.ask`."""
    first = rate_limiter.month_name(now)
    others = (CONFIRMED_AT, FEED_READ_AT, access.REFUSED, rate_limiter.BLOCKED, HOLD)
    return "MGET", first, *map(store.raw, others)


def of_reply(values: list[bytes | None]) -> Marks:
    requests, confirmed_at, feed_read_at, refused, blocked_by, hold = values
    return Marks(
        requests=int(requests or 0),
        confirmed_at=int(confirmed_at or 0),
        feed_read_at=int(float(feed_read_at or 0)),
        access_denied=str(json.loads(refused)) if refused else "",
        blocked_by=(blocked_by or b"").decode(),
        held=hold is not None,
    )
