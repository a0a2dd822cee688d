"""What this process counted since the last time, on its way to Redis. Nothing is lost while Redis
is away, and nothing is added twice when it did not answer in time."""

import json
from dataclasses import dataclass, field

from airtable_sync.cache.replica import of_this_process
from airtable_sync.monitoring.metrics import counters
from airtable_sync.monitoring.metrics.counts import Tally, add_to, difference
from airtable_sync.redis_client.scripts import KEPT_SECONDS, Parcel, load_script

TOTALS = "telemetry_totals"
UNKNOWN_CALLED, UNKNOWN_TIMES = "unknown_called", "unknown_times"
UNKNOWN_KEPT = 1000
HELD_MINUTES = 60  # while Redis is away; what is older is told as of the oldest of them
MINUTES_A_QUARTER = 15
_SCRIPT = load_script(__file__, "counts.lua")


@dataclass(slots=True)
class _Batch:
    minutes: dict[int, Tally] = field(default_factory=dict)  # by minutes since 1970
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)  # how often, when last (ms)

    def __bool__(self) -> bool:
        return bool(self.minutes or self.unknown)


class Counting:
    def __init__(self, process: str) -> None:
        self._process = process
        self._sequence = 0
        self._counted: Tally = {}  # at the last look
        self._next, self._sent = _Batch(), _Batch()

    def look(self) -> None:
        """Take what was counted since the last look; all of it counts for this minute."""
        counted = counters.counts.tally()
        if more := difference(counted, self._counted):
            minute = of_this_process().now() // 60_000
            add_to(self._next.minutes.setdefault(minute, {}), more)
        self._counted = counted
        while len(self._next.minutes) > HELD_MINUTES:
            oldest, second = sorted(self._next.minutes)[:2]
            add_to(self._next.minutes[second], self._next.minutes.pop(oldest))

    def called_unknown(self, number: str, at: int) -> None:
        times, last = self._next.unknown.get(number, (0, 0))
        if times or len(self._next.unknown) < UNKNOWN_KEPT:
            self._next.unknown[number] = (times + 1, max(last, at))

    def parcel(self) -> Parcel | None:
        """What Redis is to be told; the same again until `arrived`."""
        if not self._sent and self._next:
            self._sent, self._next = self._next, _Batch()
            self._sequence += 1
        if not self._sent:
            return None
        names = [f"telemetry_sent:{self._process}", TOTALS, UNKNOWN_CALLED, UNKNOWN_TIMES]
        totals: Tally = {}
        minutes: list[str | int] = []
        for minute, tally in self._sent.minutes.items():
            add_to(totals, tally)
            names += [minutes_name(minute // 60), quarters_name(minute // 1440)]
            minutes += [minute % 60, minute % 1440 // MINUTES_A_QUARTER, json.dumps(tally)]
        unknown = json.dumps(self._sent.unknown)
        limits = (self._sequence, KEPT_SECONDS, UNKNOWN_KEPT)
        return Parcel(_SCRIPT, names, [*limits, unknown, json.dumps(totals), *minutes])

    def arrived(self) -> None:
        self._sent = _Batch()


def minutes_name(hour: int) -> str:
    """The hash of an hour (since 1970): minute of the hour -> tally as JSON."""
    return f"telemetry_minutes:{hour}"


def quarters_name(day: int) -> str:
    """The hash of a day (since 1970): quarter hour of the day -> tally as JSON."""
    return f"telemetry_quarters:{day}"
