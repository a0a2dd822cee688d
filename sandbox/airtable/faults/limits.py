"""Airtable's rate limit (five requests per second per base, then a lockout) and monthly quota."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field

from sandbox.airtable.common.clock import Clock
from sandbox.airtable.common.errors import AirtableError, quota_exceeded, rate_limited

WINDOW_SECONDS = 1.0


@dataclass
class BaseUsage:
    recent: deque[float] = field(default_factory=deque)
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

    def check(self, base_id: str, *, data: bool) -> AirtableError | None:
        """Counts one request. Over the quota, only requests for data are rejected, not /meta."""
        with self._lock:
            self.calls_this_month += 1
            if base_id and not self._admit(self._bases[base_id]):
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

    def _admit(self, use: BaseUsage) -> bool:
        now = self.clock()
        if self.requests_per_second is None:
            return True
        if now < use.locked_until:
            return False
        while use.recent and use.recent[0] <= now - WINDOW_SECONDS:
            use.recent.popleft()
        if len(use.recent) >= self.requests_per_second:
            use.locked_until = now + self.lockout_seconds
            self.overruns.append([now - each for each in use.recent])
            return False
        use.recent.append(now)
        return True
