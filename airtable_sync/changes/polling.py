"""How often the change feed is read without a notification: as often as the monthly quota
allows."""

import calendar
from collections.abc import Callable
from datetime import datetime

from airtable_sync.airtable.limits.monthly_usage import MonthlyUsage, utc_now
from airtable_sync.airtable.limits.quota import PLANS
from airtable_sync.redis_client.connection import CacheUnavailable

MIN_SECONDS, MAX_SECONDS = 2.0, 6 * 3600.0
SHARE_OF_REMAINING_QUOTA = 0.5
SECONDS_WITH_NOTIFICATIONS = 900.0  # notifications may be lost
REFRESH_RETRY_SECONDS = 300.0
DENIED_RETRY_SECONDS = 6 * 3600
MARGIN_SECONDS = 60.0


class Polling:
    def __init__(
        self,
        changes: str,
        plan: str,
        fixed_seconds: float | None,
        usage: Callable[[], MonthlyUsage],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`changes` is AIRTABLE_CHANGES; `usage` raises CacheUnavailable."""
        self._changes = changes
        self._plan = plan
        self._fixed_seconds = fixed_seconds
        self._usage = usage
        self._now = now

    @property
    def uses_notifications(self) -> bool:
        return self._changes == "push"

    def interval_seconds(self, requests: int | None = None) -> float:
        """Between two readings, after so many requests this month (None: read from Redis)."""
        if self._fixed_seconds:
            return float(self._fixed_seconds)
        affordable = self._affordable_seconds(PLANS.get(self._plan or "team"), requests)
        if self.uses_notifications:
            return max(SECONDS_WITH_NOTIFICATIONS, affordable)
        return affordable

    def subscription_check_seconds(self) -> float:
        """Between two checks of the webhook subscription, which cost a request each."""
        return max(600.0, 10 * self.interval_seconds())

    def valid_seconds(self) -> float:
        """How long a reading of the feed proves that the cache is in sync."""
        return 2 * self.interval_seconds() + MARGIN_SECONDS

    def _affordable_seconds(self, limit: int | None, requests: int | None) -> float:
        if limit is None:
            return MIN_SECONDS
        now = self._now()
        days = calendar.monthrange(now.year, now.month)[1]
        left = (days - now.day) * 86400 + 86400 - now.hour * 3600 - now.minute * 60
        try:
            made = self._usage().requests if requests is None else requests
        except CacheUnavailable:
            made = 0
        affordable = max(1.0, (limit - made) * SHARE_OF_REMAINING_QUOTA)
        return min(max(MIN_SECONDS, left / affordable), MAX_SECONDS)
