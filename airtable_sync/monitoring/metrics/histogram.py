"""Histograms with fixed buckets: cheap to count, and they can be added up."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import ceil

# Seconds. Six buckets a decade: a quantile is wrong by half at most.
_STEPS = (1, 1.5, 2, 3, 5, 7)
LATENCY = (*(round(step * 10.0**power, 7) for power in range(-4, 1) for step in _STEPS), 10.0)
AGE = (1, 10, 60, 300, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 97200, 172800)
FEW = 20  # values that are kept exactly
PROPAGATION = (0.25, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600)


class Histogram:
    """`counts` has one more item than `bounds`, for values above the last bound. A value that
    equals a bound is below it, as in Prometheus. `values` are exact: all of them while they are
    few, later some of them with the largest."""

    __slots__ = ("bounds", "counts", "total", "values")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.values: list[float] = []

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
        values = self.values
        if len(values) < FEW:
            values.append(value)
        elif value > values[0]:
            values[0] = value

    def take_values(self) -> list[float]:
        """The values since the last call of this method. A value that another thread adds at the
        same moment may be lost. The percentiles are then an estimate, as with many values."""
        taken, self.values = self.values, []
        return taken

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The value below which this share (0.95) of all values lies. Exact if all values are
        known; otherwise an even spread within a bucket is assumed, up to the largest value. None
        without values."""
        total = self.count
        if self.values and len(self.values) >= total:
            place = ceil(share * len(self.values))
            return sorted(self.values)[max(0, place - 1)]
        rank, below = share * total, 0
        for index, count in enumerate(self.counts):
            if count and below + count >= rank:
                estimate = self._within(index, (rank - below) / count)
                return min(estimate, max(self.values, default=estimate))
            below += count
        return None

    def _within(self, index: int, share: float) -> float:
        if index == len(self.bounds):
            return float(self.bounds[-1])
        lower = self.bounds[index - 1] if index else 0.0
        return lower + (self.bounds[index] - lower) * share


def few(values: Iterable[int]) -> list[int]:
    """These values while they are few; of many the largest."""
    found = list(values)
    return found if len(found) <= FEW else [max(found)]
