"""Histograms with fixed buckets: cheap to count, and they can be added up."""

from bisect import bisect_left
from collections.abc import Sequence

# Seconds. Six buckets a decade: a quantile is wrong by half at most.
_STEPS = (1, 1.5, 2, 3, 5, 7)
LATENCY = (*(round(step * 10.0**power, 7) for power in range(-4, 1) for step in _STEPS), 10.0)
AGE = (1, 10, 60, 300, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 97200, 172800)
PROPAGATION = (0.25, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600)


class Histogram:
    """`counts` has one more item than `bounds`, for values above the last bound. A value that
    equals a bound is below it, as in Prometheus."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The value below which this share (0.95) of all values lies. Assumes an even spread within
        a bucket. None without values."""
        rank, below = share * self.count, 0
        for index, count in enumerate(self.counts):
            if count and below + count >= rank:
                return self._within(index, (rank - below) / count)
            below += count
        return None

    def _within(self, index: int, share: float) -> float:
        if index == len(self.bounds):
            return float(self.bounds[-1])
        lower = self.bounds[index - 1] if index else 0.0
        return lower + (self.bounds[index] - lower) * share
