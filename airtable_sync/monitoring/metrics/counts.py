"""The counts of a process, and their form in Redis, where the counts of all processes add up."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from airtable_sync.monitoring.metrics.histogram import AGE, LATENCY, PROPAGATION, Histogram

# Whole numbers by name, which only grow: they can be added and subtracted.
Tally = dict[str, int]
# Some exact durations by the histogram's name, in microseconds (see `Histogram.values`).
Values = dict[str, list[int]]

FROM_CACHE = ("memory", "redis", "stale")
_MICRO, _MILLI = 1_000_000, 1_000  # parts of a second, so that sums are whole numbers too


def _latencies() -> defaultdict[str, Histogram]:
    return defaultdict(partial(Histogram, LATENCY))


@dataclass(slots=True)
class Counts:
    """`events`: airtable_requests, rate_limiter_waits (requests that had to wait), rate_limited
    (429s from Airtable), answer_log_dropped (calls that did not fit into the queue), callers_known
    and callers_unknown (calls by a contact, and by a stranger), follow_ups_sent and
    follow_ups_failed (requests to accept or reject a call)."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)  # by platform and source
    latency: defaultdict[str, Histogram] = field(default_factory=_latencies)  # by source
    tier_requests: Counter[str] = field(default_factory=Counter)  # by tier
    tier_failures: Counter[str] = field(default_factory=Counter)
    tier_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    age: Histogram = field(default_factory=partial(Histogram, AGE))  # of what was served
    propagation: Histogram = field(default_factory=partial(Histogram, PROPAGATION))  # edit to live
    runs: Counter[str] = field(default_factory=Counter)  # by status
    run_seconds: float = 0.0
    rate_limiter_wait_seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)

    @property
    def calls_by_source(self) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for (_, source), count in list(self.calls.items()):
            sums[source] += count
        return dict(sums)

    @property
    def cache_share(self) -> float | None:
        """The share of calls that were answered from the cache (memory, redis, stale). None without
        calls."""
        sources = self.calls_by_source
        total = sum(sources.values())
        return sum(sources.get(each, 0) for each in FROM_CACHE) / total if total else None

    def tally(self) -> Tally:
        return {name: count for name, count in self._rows() if count}

    def take_values(self) -> Values:
        """The exact durations since the last time."""
        histograms = {f"latency|{source}": each for source, each in list(self.latency.items())}
        histograms["propagation"] = self.propagation
        taken = {f"values|{name}": each.take_values() for name, each in histograms.items()}
        return {name: [round(v * _MICRO) for v in each] for name, each in taken.items() if each}

    def _rows(self) -> Iterator[tuple[str, int]]:
        # `list` copies the items atomically: other threads go on counting.
        for (platform, source), count in list(self.calls.items()):
            yield f"calls|{platform}|{source}", count
        for source, histogram in list(self.latency.items()):
            yield from _histogram_rows(f"latency|{source}", histogram, _MICRO)
        yield from _histogram_rows("age", self.age, _MILLI)
        yield from _histogram_rows("propagation", self.propagation, _MILLI)
        for kind in ("tier_requests", "tier_failures", "runs", "events"):
            for name, count in list(getattr(self, kind).items()):
                yield f"{kind}|{name}", count
        for tier, seconds in list(self.tier_seconds.items()):
            yield f"tier_us|{tier}", int(seconds * _MICRO)
        yield "run_us", int(self.run_seconds * _MICRO)
        yield "rate_limiter_wait_us", int(self.rate_limiter_wait_seconds * _MICRO)


def counts_from_tally(tally: Mapping[str, int], values: Mapping[str, list[int]] = {}) -> Counts:
    """Ignores the names of another version."""
    counts = Counts()
    for name, count in tally.items():
        _add(counts, name.split("|"), count)
    for name, exact in values.items():
        _add_values(counts, name.split("|"), [each / _MICRO for each in exact])
    return counts


def _add_values(counts: Counts, name: list[str], values: list[float]) -> None:
    match name:
        case ["values", "latency", source]:
            counts.latency[source].values += values
        case ["values", "propagation"]:
            counts.propagation.values += values


def _add(counts: Counts, name: list[str], count: int) -> None:
    match name:
        case ["calls", platform, source]:
            counts.calls[platform, source] += count
        case ["latency", source, place]:
            _put(counts.latency[source], place, count, _MICRO)
        case ["age", place]:
            _put(counts.age, place, count, _MILLI)
        case ["propagation", place]:
            _put(counts.propagation, place, count, _MILLI)
        case [("tier_requests" | "tier_failures" | "runs" | "events") as kind, what]:
            getattr(counts, kind)[what] += count
        case ["tier_us", tier]:
            counts.tier_seconds[tier] += count / _MICRO
        case ["run_us"]:
            counts.run_seconds += count / _MICRO
        case ["rate_limiter_wait_us"]:
            counts.rate_limiter_wait_seconds += count / _MICRO


def _histogram_rows(name: str, histogram: Histogram, parts: int) -> Iterator[tuple[str, int]]:
    for place, count in enumerate(histogram.counts):
        yield f"{name}|{place}", count
    yield f"{name}|sum", int(histogram.total * parts)


def _put(histogram: Histogram, place: str, count: int, parts: int) -> None:
    if place == "sum":
        histogram.total += count / parts
    elif place.isdigit() and int(place) < len(histogram.counts):
        histogram.counts[int(place)] += count


def difference(now: Mapping[str, int], before: Mapping[str, int]) -> Tally:
    return {
        name: count - before.get(name, 0)
        for name, count in now.items()
        if count != before.get(name, 0)
    }


def add_to(tally: Tally, more: Mapping[str, int]) -> None:
    for name, count in more.items():
        tally[name] = tally.get(name, 0) + count


def add_values(values: Values, more: Mapping[str, list[int]]) -> None:
    """As `add_to`. All are kept: `few` limits what is stored."""
    for name, exact in more.items():
        values.setdefault(name, []).extend(exact)
