"""What was right to answer at which moment: the values that Airtable had, and how late they may be.
All moments are of one clock, in seconds."""

from bisect import bisect_right
from dataclasses import dataclass, field
from math import inf

FEED_SECONDS = 5.0  # from an edit to its being served, in good weather
SETTLE_SECONDS = 30.0  # after bad weather, until that holds again


@dataclass
class Troubles:
    """When the weather was bad, in order."""

    spans: list[tuple[float, float]] = field(default_factory=list)

    def begin(self, at: float) -> None:
        self.spans.append((at, inf))

    def end(self, at: float) -> None:
        self.spans[-1] = (self.spans[-1][0], at)

    def allowed_lag(self, at: float) -> float:
        """How old what is served at a moment may be: in good weather what the feed takes, else all
        that has passed since the last good weather."""
        good = at
        for begun, ended in reversed(self.spans):
            if begun <= at and ended + SETTLE_SECONDS > good:
                good = begun
        return at - good + FEED_SECONDS


@dataclass
class Values:
    """What one cell was, from when on."""

    since: list[float]
    values: list[str]

    def set(self, value: str, at: float) -> None:
        self.since.append(at)
        self.values.append(value)

    def was(self, value: str, earliest: float, latest: float) -> bool:
        """Whether the cell held this at any moment in between."""
        first = max(0, bisect_right(self.since, earliest) - 1)
        last = bisect_right(self.since, latest)
        return value in self.values[first:last]

    @property
    def newest(self) -> str:
        return self.values[-1]


def is_flat(megabytes: list[float], allowed: float = 1.15) -> bool:
    """Whether a process takes as much in the last quarter as in the second, after it has warmed up;
    of too few measurements nothing is said."""
    quarter = len(megabytes) // 4
    if quarter < 2:
        return True
    early, late = megabytes[quarter : 2 * quarter], megabytes[-quarter:]
    return _mean(late) <= allowed * _mean(early) + 4


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
