"""Which answers were correct at a moment: the values that Airtable had, and how old they may be.
All moments are seconds by the same clock."""

from bisect import bisect_right
from dataclasses import dataclass, field
from math import inf

CHANGE_SECONDS = 5.0  # from an edit until it is live, without a fault
SETTLE_SECONDS = 30.0  # after faults, until that is so again


@dataclass
class FaultPeriods:
    """The periods with faults, in order."""

    periods: list[tuple[float, float]] = field(default_factory=list)

    def begin(self, at: float) -> None:
        self.periods.append((at, inf))

    def end(self, at: float) -> None:
        self.periods[-1] = (self.periods[-1][0], at)

    def allowed_age(self, at: float) -> float:
        """How old a served value may be at a moment: what the change feed needs and, during or
        after a fault, the time since the last moment without one."""
        last_good = at
        for begun, ended in reversed(self.periods):
            if begun <= at and ended + SETTLE_SECONDS > last_good:
                last_good = begun
        return at - last_good + CHANGE_SECONDS


@dataclass
class CellHistory:
    """The values of one cell, each with the moment since when the cell had it."""

    since: list[float]
    values: list[str]

    def set(self, value: str, at: float) -> None:
        self.since.append(at)
        self.values.append(value)

    def had(self, value: str, earliest: float, latest: float) -> bool:
        """Whether the cell had this value at any moment in between."""
        first = max(0, bisect_right(self.since, earliest) - 1)
        last = bisect_right(self.since, latest)
        return value in self.values[first:last]

    @property
    def newest(self) -> str:
        return self.values[-1]


def is_flat(megabytes: list[float], allowed: float = 1.15) -> bool:
    """Whether a process used about as much memory in the last quarter as in the second one, after
    it has warmed up. True for too few values."""
    quarter = len(megabytes) // 4
    if quarter < 2:
        return True
    early, late = megabytes[quarter : 2 * quarter], megabytes[-quarter:]
    return _mean(late) <= allowed * _mean(early) + 4


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
