"""How often a client may call: five a second per base with a lock-out, and a monthly quota."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.airtable.errors import AirtableError, quota_exceeded, rate_limited

WINDOW_SECONDS = 1.0


class Clock:
    """time.monotonic(), and a way to skip thirty seconds without waiting for them."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self.after_advance: list[Callable[[], object]] = []

    def __call__(self) -> float:
        return time.monotonic() + self.skipped

    def advance(self, seconds: float) -> None:
        self.skipped += seconds
        for notify in self.after_advance:
            notify()


@dataclass
class BaseUse:
    recent: deque[float] = field(default_factory=deque)
    locked_until: float = float("-inf")


class Limits:
    """Refused calls neither fill the window nor prolong the lock-out; all of them are counted."""

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
        """For each call that was one too many, how long before it those it met had come."""
        self._bases: defaultdict[str, BaseUse] = defaultdict(BaseUse)
        self._lock = threading.Lock()

    def check(self, base_id: str, *, data: bool) -> AirtableError | None:
        """Counts one call. Data calls alone are refused over the quota, /meta goes on."""
        with self._lock:
            self.calls_this_month += 1
            if base_id and not self._admit(self._bases[base_id]):
                return rate_limited()
            if data and self.monthly_quota is not None and self._over(self.monthly_quota):
                return quota_exceeded()
            return None

    def reset(self) -> None:
        """A new month, and no lock-out."""
        with self._lock:
            self.calls_this_month = 0
            self._bases.clear()

    def locked_out(self) -> list[str]:
        """The bases that answer 429 at this moment."""
        with self._lock:
            now = self.clock()
            return [base for base, use in self._bases.items() if now < use.locked_until]

    def _over(self, quota: int) -> bool:
        return self.calls_this_month > quota

    def _admit(self, use: BaseUse) -> bool:
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
