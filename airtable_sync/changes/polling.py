"""How often the change feed is read: as often as the month's requests allow."""

import calendar
from datetime import UTC, datetime

from django.conf import settings

from airtable_sync.airtable import rate_limiter
from airtable_sync.airtable.quota import PLANS
from airtable_sync.cache.redis_store import CacheUnavailable

FASTEST_SECONDS, SLOWEST_SECONDS = 2.0, 6 * 3600.0
SHARE_OF_THE_REST = 0.5  # of the month's remaining requests
WITH_PINGS_SECONDS = 300.0  # pings may be lost
REFRESH_AGAIN_SECONDS = 300.0  # after one that did not succeed
REFUSED_AGAIN_SECONDS = 6 * 3600  # after Airtable said that it grants no hook
MARGIN_SECONDS = 60.0


def poll_seconds(requests: int | None = None) -> float:
    """Between two readings of the feed that nobody asked for, after so many requests this month
    (None: Redis is asked for their number)."""
    if settings.AIRTABLE_POLL_SECONDS:
        return float(settings.AIRTABLE_POLL_SECONDS)
    affordable = _affordable_seconds(PLANS.get(settings.AIRTABLE_PLAN or "team"), requests)
    if settings.AIRTABLE_CHANGES == "push":
        return max(WITH_PINGS_SECONDS, affordable)
    return affordable


def hook_check_seconds() -> float:
    """Between two looks at the hook itself, which cost a request each."""
    return max(600.0, 10 * poll_seconds())


def valid_for_seconds() -> float:
    """For how long a process may rely on the feed having been read to its end."""
    return 2 * poll_seconds() + MARGIN_SECONDS


def _affordable_seconds(allowed: int | None, requests: int | None) -> float:
    if allowed is None:
        return FASTEST_SECONDS
    now = datetime.now(UTC)
    days = calendar.monthrange(now.year, now.month)[1]
    left = (days - now.day) * 86400 + 86400 - now.hour * 3600 - now.minute * 60
    try:
        made = rate_limiter.month(now).requests if requests is None else requests
    except CacheUnavailable:
        made = 0
    affordable = max(1.0, (allowed - made) * SHARE_OF_THE_REST)
    return min(max(FASTEST_SECONDS, left / affordable), SLOWEST_SECONDS)
