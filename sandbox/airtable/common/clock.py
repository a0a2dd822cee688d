"""Times: the sandbox's clock, and the form in which Airtable writes a time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """time.monotonic() plus the seconds that a test has skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self.after_advance: list[Callable[[], object]] = []
        """Called after each skip."""

    def __call__(self) -> float:
        return time.monotonic() + self.skipped

    def at(self, moment: float) -> float:
        """This clock's time at a moment of time.monotonic()."""
        return moment + self.skipped

    def advance(self, seconds: float) -> None:
        self.skipped += seconds
        for callback in self.after_advance:
            callback()


def utc_now() -> datetime:
    """Rounded down to milliseconds, which is what Airtable stores."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def iso_time(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
