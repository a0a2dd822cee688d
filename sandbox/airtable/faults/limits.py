"""Airtable's rate limit (five requests per second per base, then a lockout) and monthly quota."""

import math
import threading
from bisect import insort
from collections import defaultdict
from dataclasses import dataclass, field

from sandbox.airtable.common.clock import Clock
from sandbox.airtable.common.errors import AirtableError, quota_exceeded, rate_limited

WINDOW_SECONDS = 1.0
KEPT_SECONDS = 3.0  # a busy process may read a request this late


@dataclass
class BaseUsage:
    recent: list[float] = field(default_factory=list)
    """When the last requests arrived, in this order: a busy process may read them in another."""
    locked_until: float = float("-inf")


class Limits:
    """Rejected requests do not count in the window and do not extend the lockout. The monthly count
    includes them."""

    def __init__(
        self,
        clock: Clock,
        requests_per_second: float | None = 5,
        lockout_seconds: float = 30.0,
        monthly_quota: int | None = None,
    ) -> None:
        self.clock = clock
        self.requests_per_second = requests_per_second
        self.lockout_seconds = lockout_seconds
        self.monthly_quota = monthly_quota
        self.calls_this_month = 0
        self.overruns: list[list[float]] = []
        """One item per request over the limit: the ages in seconds of the requests before it."""
        self._bases: defaultdict[str, BaseUsage] = defaultdict(BaseUsage)
        self._lock = threading.Lock()

    def check(self, base_id: str, arrived_at: float, *, data: bool) -> AirtableError | None:
        """Counts one request, which arrived then (of time.monotonic()). Over the quota, only
        requests for data are rejected, not /meta."""
        with self._lock:
            self.calls_this_month += 1
            if base_id and not self._admit(self._bases[base_id], self.clock.at(arrived_at)):
                return rate_limited()
            if data and self.monthly_quota is not None and self._over(self.monthly_quota):
                return quota_exceeded()
            return None

    def reset(self) -> None:
        """Starts a new month and ends all lockouts."""
        with self._lock:
            self.calls_this_month = 0
            self._bases.clear()

    def locked_out(self) -> list[str]:
        """The ids of the bases that answer 429 now."""
        with self._lock:
            now = self.clock()
            return [base for base, use in self._bases.items() if now < use.locked_until]

    def _over(self, quota: int) -> bool:
        return self.calls_this_month > quota

    def _admit(self, use: BaseUsage, now: float) -> bool:
        if self.requests_per_second is None:
            return True
        if now < use.locked_until:
            return False
        use.recent = [each for each in use.recent if now - each < KEPT_SECONDS]
        insort(use.recent, now)
        most = math.ceil(self.requests_per_second)
        pairs = zip(use.recent, use.recent[most:], strict=False)
        if any(later - earlier < WINDOW_SECONDS for earlier, later in pairs):
            use.recent.remove(now)
            use.locked_until = now + self.lockout_seconds
            ages = [now - each for each in use.recent]
            self.overruns.append([age for age in ages if abs(age) < WINDOW_SECONDS])
            return False
        return True
