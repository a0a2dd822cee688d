"""The time of the change feed: scaled, and moved with the sandbox's clock."""

import time
from datetime import datetime, timedelta

from sandbox.airtable.limits import Clock
from sandbox.airtable.tables import utc_now


class ScaledClock:
    """Seconds as Airtable would count them."""

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

    def on_the_wall(self, moment: float) -> datetime:
        """When it will be that moment, unless the clock is moved again."""
        now = utc_now()
        try:
            return now + timedelta(seconds=self.real_seconds(moment - self()))
        except OverflowError:
            return now
