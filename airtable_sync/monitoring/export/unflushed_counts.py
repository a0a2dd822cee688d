"""Counts of this process that are not in Redis yet. Nothing is lost while Redis is down, and
nothing is added twice if Redis' answer was lost."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from airtable_sync.monitoring.calls.unknown_numbers import CALLS_KEY, LAST_CALLED_KEY, NUMBERS_KEPT
from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.monitoring.metrics.counts import Tally, Values, add_to, add_values, difference
from airtable_sync.monitoring.metrics.histogram import FEW, few
from airtable_sync.monitoring.metrics.retention import SECONDS_KEPT
from airtable_sync.redis_client.scripts import ScriptCall, load_script

TOTALS_KEY = "metrics_totals"
MINUTES_KEPT = 60  # while Redis is down; older counts are added to the oldest of them
MINUTES_A_QUARTER = 15
_SCRIPT = load_script(__file__, "counts.lua")


@dataclass(slots=True)
class _Batch:
    minutes: dict[int, Tally] = field(default_factory=dict)  # minute since 1970 -> counts
    values: dict[int, Values] = field(default_factory=dict)  # of the same minutes
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)  # number -> calls, last (ms)

    def __bool__(self) -> bool:
        return bool(self.minutes or self.unknown)


class UnflushedCounts:
    def __init__(self, counters: Counters, now: Callable[[], int], process_id: str) -> None:
        """`now` returns milliseconds by Redis' clock."""
        self._counters = counters
        self._now = now
        self._process_id = process_id
        self._sequence = 0
        self._last_tally: Tally = {}
        self._next, self._sent = _Batch(), _Batch()

    def collect(self) -> None:
        """Take what was counted since the last call, for the current minute."""
        tally = self._counters.counts.tally()
        if more := difference(tally, self._last_tally):
            minute = self._now() // 60_000
            add_to(self._next.minutes.setdefault(minute, {}), more)
            self._add_values(minute, self._counters.counts.take_values())
        self._last_tally = tally
        while len(self._next.minutes) > MINUTES_KEPT:
            oldest, second = sorted(self._next.minutes)[:2]
            add_to(self._next.minutes[second], self._next.minutes.pop(oldest))
            self._add_values(second, self._next.values.pop(oldest))

    def _add_values(self, minute: int, more: Values) -> None:
        values = self._next.values.setdefault(minute, {})
        add_values(values, more)
        values.update({name: few(exact) for name, exact in values.items()})

    def unknown_called(self, number: str, at: int) -> None:
        calls, last = self._next.unknown.get(number, (0, 0))
        if calls or len(self._next.unknown) < NUMBERS_KEPT:
            self._next.unknown[number] = (calls + 1, max(last, at))

    def next_script(self) -> ScriptCall | None:
        """The script that adds the batch in Redis; the same one until `arrived` is called."""
        if not self._sent and self._next:
            self._sent, self._next = self._next, _Batch()
            self._sequence += 1
        if not self._sent:
            return None
        names = [f"metrics_batch:{self._process_id}", TOTALS_KEY, LAST_CALLED_KEY, CALLS_KEY]
        totals: Tally = {}
        minutes: list[str | int] = []
        for minute, tally in self._sent.minutes.items():
            add_to(totals, tally)
            names += [hour_key(minute // 60), day_key(minute // 1440)]
            counted = json.dumps({**tally, **self._sent.values[minute]})
            minutes += [minute % 60, minute % 1440 // MINUTES_A_QUARTER, counted]
        unknown = json.dumps(self._sent.unknown)
        limits = (self._sequence, SECONDS_KEPT, NUMBERS_KEPT, FEW)
        return ScriptCall(_SCRIPT, names, [*limits, unknown, json.dumps(totals), *minutes])

    def arrived(self) -> None:
        self._sent = _Batch()


def hour_key(hour: int) -> str:
    """The hash of an hour since 1970: minute of the hour -> counts as JSON."""
    return f"metrics_minutes:{hour}"


def day_key(day: int) -> str:
    """The hash of a day since 1970: quarter hour of the day -> counts as JSON."""
    return f"metrics_quarters:{day}"
