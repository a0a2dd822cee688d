"""The clock of webhooks. It can run faster than real time, and advances with the sandbox's."""

import time
from datetime import datetime, timedelta

from sandbox.airtable.common.clock import Clock, utc_now


class ScaledClock:
    """Counts scaled seconds: `scale` of them pass in one real second."""

    def __init__(self, clock: Clock, scale: float) -> None:
        self._clock = clock
        self._scale = scale
        self._scaled_since = time.monotonic()
        self._before = 0.0

    def __call__(self) -> float:
        elapsed = time.monotonic() - self._scaled_since
        return self._before + elapsed * self._scale + self._clock.skipped

    def rescale(self, scale: float) -> None:
        self._before = self() - self._clock.skipped
        self._scaled_since = time.monotonic()
        self._scale = scale

    def real_seconds(self, seconds: float) -> float:
        return seconds / self._scale

    def scaled_seconds(self, seconds: float) -> float:
        return seconds * self._scale

    def to_wall_time(self, moment: float) -> datetime:
        """The wall clock's time at that moment, unless the clock is advanced until then."""
        now = utc_now()
        try:
            return now + timedelta(seconds=self.real_seconds(moment - self()))
        except OverflowError:
            return now
