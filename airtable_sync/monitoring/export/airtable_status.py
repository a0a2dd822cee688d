"""What processes have stored in Redis about Airtable and about reading it: one command reads it."""

import json
from dataclasses import dataclass
from datetime import datetime

from airtable_sync.airtable import access
from airtable_sync.airtable.errors import QuotaExceeded
from airtable_sync.airtable.limits.monthly_usage import usage_key
from airtable_sync.airtable.limits.rate_limiter import BLOCKED_KEY
from airtable_sync.cache.keys import CONFIRMED_AT, PAUSED_BY
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.changes.shared_state import READ_AT


@dataclass(frozen=True, slots=True)
class AirtableStatus:
    """Moments are milliseconds since 1970; 0: never."""

    requests: int = 0  # to Airtable, this month
    confirmed_at: int = 0  # when all of Airtable was last read, or confirmed unchanged
    feed_read_at: int = 0  # when the change feed was last read to its end
    access_denied: str = ""  # Airtable's message; "" while it accepts the token
    blocked_by: str = ""  # why Airtable is not asked: "", RateLimited or QuotaExceeded
    paused: bool = False  # by a rollback

    @property
    def quota_exceeded(self) -> bool:
        return self.blocked_by == QuotaExceeded.__name__


def status_command(store: RedisStore, now: datetime) -> tuple[str | int, ...]:
    """For `RedisConnection.read_all`."""
    others = (CONFIRMED_AT, READ_AT, access.KEY, BLOCKED_KEY, PAUSED_BY)
    return "MGET", usage_key(now), *map(store.full_key, others)


def decode_status(values: list[bytes | None]) -> AirtableStatus:
    """The result of `status_command`."""
    requests, confirmed_at, feed_read_at, denied, blocked_by, paused_by = values
    return AirtableStatus(
        requests=int(requests or 0),
        confirmed_at=int(confirmed_at or 0),
        feed_read_at=int(float(feed_read_at or 0)),
        access_denied=str(json.loads(denied)) if denied else "",
        blocked_by=(blocked_by or b"").decode(),
        paused=paused_by is not None,
    )
