"""The metrics in Prometheus' words. With Redis: of all processes and commands together, by totals
that only grow. Without: of this process, by other names, so that no counter seems to jump."""

import logging
from collections.abc import Iterable, Iterator

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.changes import polling
from airtable_sync.monitoring.metrics import counters, totals
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.histogram import Histogram
from airtable_sync.monitoring.metrics.processes import Heartbeat, Process
from airtable_sync.monitoring.metrics.refresh_results import RunResult
from airtable_sync.monitoring.metrics.totals import State

logger = logging.getLogger(__name__)

BREAKER_STATES = ("closed", "half_open", "open")


class SiftlyCollector(Collector):
    def __init__(self, *, ask_redis: bool) -> None:
        self._ask_redis = ask_redis

    def collect(self) -> Iterable[Metric]:
        found = self._state()
        yield _gauge("siftly_redis_up", "Whether Redis answers.", float(found is not None))
        if found:
            yield from _of_all(found)
        else:
            yield from _of_counts("siftly_process", counters.counts)
            yield from _of_processes([Heartbeat("this").process()])

    def _state(self) -> State | None:
        if not self._ask_redis:
            return None
        try:
            return totals.read()
        except CacheUnavailable as error:
            logger.debug("The metrics are of this process only: %s", error)
            return None


def exposition(*, ask_redis: bool = True) -> bytes:
    """The text of /metrics. Waits for Redis, unless told not to ask it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SiftlyCollector(ask_redis=ask_redis))
    return generate_latest(registry)


def _of_all(found: State) -> Iterator[Metric]:
    yield from _of_counts("siftly", found.counts)
    yield from _of_processes(found.processes)
    yield from _of_runs(found)
    month, refused = found.month, bool(found.marks.access_denied)
    for name, help_text, amount in (
        ("set_numbers", "Numbers in the last reading of all of Airtable.", found.numbers),
        ("set_age_seconds", "Since all of Airtable was read.", found.set_age_seconds),
        ("index_numbers", "Numbers in the index, unknown and removed ones too.", found.indexed),
        ("unknown_numbers", "Numbers called that are not known.", found.unknown),
        ("airtable_month_requests", "Requests to Airtable this month.", month.requests),
        ("airtable_month_forecast_requests", "By the month's end, at this rate.", month.forecast),
        ("airtable_month_allowed_requests", "What the plan allows.", found.allowed),
        ("rollback_holds", "Whether a rollback holds refreshes.", found.marks.held),
        ("airtable_quota_used_up", "Whether Airtable says so.", found.marks.quota_used_up),
        ("airtable_access_denied", "Whether it refuses the token.", refused),
    ):
        if amount is not None:
            yield _gauge(f"siftly_{name}", help_text, amount)
    if settings.AIRTABLE_CHANGES != "off":
        yield from _of_the_feed(found)


def _of_the_feed(found: State) -> Iterator[Metric]:
    read_at = found.marks.feed_read_at / 1000
    read = "By when the change feed was read to its end; 0: never."
    yield _gauge("siftly_feed_read_timestamp_seconds", read, read_at)
    between = "Between two readings of it that nobody asked for."
    interval = polling.poll_seconds(found.month.requests)
    yield _gauge("siftly_feed_interval_seconds", between, interval)


def _of_counts(prefix: str, counts: Counts) -> Iterator[Metric]:
    answers = CounterMetricFamily(
        f"{prefix}_answers", "Calls answered.", labels=("platform", "source")
    )
    for (platform, source), count in sorted(counts.answers.items()):
        answers.add_metric((platform, source), count)
    yield answers
    latency = HistogramMetricFamily(
        f"{prefix}_answer_seconds", "From a call to its answer.", labels=("source",)
    )
    for source, histogram in sorted(counts.latency.items()):
        latency.add_metric((source,), _buckets(histogram), histogram.total)
    yield latency
    for name, histogram, help_text in (
        ("answer_age_seconds", counts.age, "Age of what was served, at that moment."),
        ("edit_live_seconds", counts.propagation, "From an edit in Airtable to its being served."),
    ):
        family = HistogramMetricFamily(f"{prefix}_{name}", help_text)
        family.add_metric((), _buckets(histogram), histogram.total)
        yield family
    yield from _of_tiers(prefix, counts)
    yield from _of_events(prefix, counts)


def _of_tiers(prefix: str, counts: Counts) -> Iterator[Metric]:
    for name, by_tier, help_text in (
        ("tier_requests", counts.asked, "Times that a tier behind memory was asked."),
        ("tier_failures", counts.failed, "Times that it gave no answer."),
        ("tier_seconds", counts.tier_seconds, "What callers waited for it."),
    ):
        family = CounterMetricFamily(f"{prefix}_{name}", help_text, labels=("tier",))
        for tier, amount in sorted(by_tier.items()):
            family.add_metric((tier,), amount)
        yield family


def _of_events(prefix: str, counts: Counts) -> Iterator[Metric]:
    for name, event, help_text in (
        ("airtable_requests", "airtable_requests", "Requests to Airtable."),
        ("airtable_waits", "budget_waits", "Requests that waited for a place in the budget."),
        ("airtable_rate_limited", "rate_limited", "Airtable's answers that it is asked too often."),
        ("answers_not_logged", "dropped", "Answers too many for the log of answers."),
    ):
        yield CounterMetricFamily(f"{prefix}_{name}", help_text, counts.events[event])
    waited = "Seconds that requests to Airtable waited for a place in the budget."
    yield CounterMetricFamily(f"{prefix}_airtable_wait_seconds", waited, counts.budget_wait_seconds)
    runs = CounterMetricFamily(f"{prefix}_refreshes", "Refreshes by result.", labels=("status",))
    for status, count in sorted(counts.runs.items()):
        runs.add_metric((status,), count)
    yield runs


def _of_processes(processes: list[Process]) -> Iterator[Metric]:
    labels = ("host", "process")
    for name, help_text in (
        ("entries", "Entries a process holds."),
        ("bytes", "Bytes they take."),
        ("in_sync", "Whether they are in step with Redis."),
    ):
        family = GaugeMetricFamily(f"siftly_replica_{name}", help_text, labels=labels)
        for each in processes:
            family.add_metric((each.host, each.id), float(getattr(each, name)))
        yield family
    yield _of_breakers(processes)


def _of_breakers(processes: list[Process]) -> Metric:
    labels = ("host", "process", "breaker", "state")
    family = GaugeMetricFamily("siftly_breaker_state", "1 for the state it is in.", labels=labels)
    for each in processes:
        for breaker, now in each.breakers.items():
            for possible in BREAKER_STATES:
                row = (each.host, each.id, breaker, possible)
                family.add_metric(row, float(now == possible))
    return family


def _of_runs(found: State) -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "siftly_refresh_ended_timestamp_seconds",
        "When the last refresh with this result ended.",
        labels=("status",),
    )
    for status, run in sorted(found.runs.items()):
        ended.add_metric((status,), run.ended_at)
    yield ended
    if newest := _newest(found.runs.values()):
        yield _gauge(
            "siftly_refresh_duration_seconds",
            "How long the last refresh took.",
            newest.duration_seconds,
        )
    if good := _newest(run for run in found.runs.values() if run.status in GOOD):
        for name in ("numbers", "conflicts", "invalid"):
            help_text = f"{name.capitalize()} in the last good refresh."
            yield _gauge(f"siftly_refresh_{name}", help_text, getattr(good, name))


GOOD = ("published", "unchanged")


def _newest(runs: Iterable[RunResult]) -> RunResult | None:
    return max(runs, key=lambda run: run.ended_at, default=None)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Prometheus' are cumulative."""
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    counts = histogram.counts
    return [(bound, sum(counts[: place + 1])) for place, bound in enumerate(bounds)]
