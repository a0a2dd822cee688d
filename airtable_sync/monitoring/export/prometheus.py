"""The Prometheus metrics. With Redis: totals of all processes and commands. Without: the counts of
this process, under other names, so that no counter seems to jump."""

import logging
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from airtable_sync.airtable.limits.quota import PLANS
from airtable_sync.cache.processes import Heartbeat, Process
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.changes.polling import Polling
from airtable_sync.monitoring.export.refresh_results import RefreshResult
from airtable_sync.monitoring.export.totals import Totals, read_totals
from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.histogram import Histogram
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.redis_client.server_info import ServerInfo
from airtable_sync.refresh.history import SUCCESSFUL

logger = logging.getLogger(__name__)

CIRCUIT_BREAKER_STATES = ("closed", "half_open", "open")
REFRESH_FIGURES = {
    "numbers": "Numbers",
    "conflicts": "Numbers in several records",
    "invalid": "Invalid records",
}


class PrometheusExport:
    def __init__(
        self,
        store: RedisStore,
        counters: Counters,
        heartbeat: Heartbeat,
        polling: Polling | None,
        plan: str,
    ) -> None:
        """`polling` is None if AIRTABLE_CHANGES is off."""
        self._store = store
        self._counters = counters
        self._heartbeat = heartbeat
        self._polling = polling
        self._plan = plan

    def text(self, *, ask_redis: bool = True) -> bytes:
        """The text of /metrics. Waits for Redis, unless `ask_redis` is false."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(list(self._metrics(ask_redis=ask_redis))))
        return generate_latest(registry)

    def _metrics(self, *, ask_redis: bool) -> Iterator[Metric]:
        found = self._ask_redis() if ask_redis else None
        if found:
            yield from metrics_of(*found, self._polling, self._plan)
        else:
            yield _redis_up(False)
            yield from _count_metrics("siftly_process", self._counters.counts)
            yield from _process_metrics([self._heartbeat.process()])

    def _ask_redis(self) -> tuple[Totals, ServerInfo] | None:
        try:
            return read_totals(self._store), self._store.server_info()
        except CacheUnavailable as error:
            logger.debug("The metrics are those of this process only: %s", error)
            return None


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def metrics_of(
    totals: Totals, info: ServerInfo, polling: Polling | None, plan: str
) -> Iterator[Metric]:
    """All metrics, while Redis answers."""
    yield _redis_up(True)
    yield from _redis_metrics(info)
    yield from _count_metrics("siftly", totals.counts)
    yield from _process_metrics(totals.processes)
    yield from _refresh_metrics(totals)
    yield from _airtable_metrics(totals, polling, plan)


def _redis_up(answers: bool) -> Metric:
    return _gauge("siftly_redis_up", "1 if Redis answers, 0 if not.", float(answers))


def _redis_metrics(info: ServerInfo) -> Iterator[Metric]:
    """What Redis says about itself; nothing of what it does not say."""
    if info.evicted_keys is not None:
        help_text = "Keys, of all applications, that Redis removed because its memory was full."
        yield CounterMetricFamily("siftly_redis_evicted_keys", help_text, info.evicted_keys)
    if info.used_bytes is not None:
        yield _gauge("siftly_redis_used_bytes", "Memory that Redis uses.", info.used_bytes)
    if info.max_bytes:
        yield _gauge(
            "siftly_redis_limit_bytes",
            "Memory that Redis may use. Absent without a limit.",
            info.max_bytes,
        )


def _airtable_metrics(totals: Totals, polling: Polling | None, plan: str) -> Iterator[Metric]:
    usage, airtable = totals.usage, totals.airtable
    denied = bool(airtable.access_denied)
    for name, help_text, value in (
        (
            "snapshot_numbers",
            "Known numbers: those of the last complete reading of Airtable, and the changes since.",
            totals.numbers,
        ),
        (
            "cache_age_seconds",
            "Time since all of Airtable was read, or confirmed unchanged.",
            totals.cache_age_seconds,
        ),
        (
            "index_entries",
            "Numbers in the index, also unknown and removed ones.",
            totals.index_entries,
        ),
        ("unknown_numbers", "Unknown numbers that were called.", totals.unknown_numbers),
        (
            "airtable_quota_used_requests",
            "Requests to Airtable this month.",
            usage.requests,
        ),
        (
            "airtable_quota_forecast_requests",
            "Requests at the end of the month, if they continue at this rate.",
            usage.forecast,
        ),
        (
            "airtable_quota_limit_requests",
            "Requests that `AIRTABLE_PLAN` allows in a month. Absent without a plan or a limit.",
            PLANS.get(plan),
        ),
        (
            "publishing_paused",
            "1 while publishing is paused after a rollback.",
            airtable.paused,
        ),
        (
            "airtable_quota_exceeded",
            "1 after Airtable reported that the monthly quota is used up; 0 when it answers again.",
            airtable.quota_exceeded,
        ),
        (
            "airtable_access_denied",
            "1 after Airtable rejected the token; 0 when it answers again.",
            denied,
        ),
    ):
        if value is not None:
            yield _gauge(f"siftly_{name}", help_text, value)
    if polling:
        yield from _change_feed_metrics(totals, polling)


def _change_feed_metrics(totals: Totals, polling: Polling) -> Iterator[Metric]:
    yield _gauge(
        "siftly_change_feed_read_timestamp_seconds",
        "When the change feed was last read to its end; 0: never. Absent without a change feed.",
        totals.airtable.feed_read_at / 1000,
    )
    yield _gauge(
        "siftly_change_feed_interval_seconds",
        "Time between two readings without a notification. Absent without a change feed.",
        polling.interval_seconds(totals.usage.requests),
    )


def _count_metrics(prefix: str, counts: Counts) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        f"{prefix}_calls",
        "Answered calls. The source is `memory`, `redis`, `airtable`, `stale` or `default`.",
        labels=("platform", "source"),
    )
    for (platform, source), count in sorted(counts.calls.items()):
        calls.add_metric((platform, source), count)
    yield calls
    latency = HistogramMetricFamily(
        f"{prefix}_call_duration_seconds", "Time from a call to its answer.", labels=("source",)
    )
    for source, histogram in sorted(counts.latency.items()):
        latency.add_metric((source,), _buckets(histogram), histogram.total)
    yield latency
    for name, histogram, help_text in (
        (
            "served_entry_age_seconds",
            counts.age,
            "Age of the served entry, since it was read from Airtable or confirmed.",
        ),
        (
            "change_propagation_seconds",
            counts.propagation,
            "Time from an edit in Airtable until it is served.",
        ),
    ):
        family = HistogramMetricFamily(f"{prefix}_{name}", help_text)
        family.add_metric((), _buckets(histogram), histogram.total)
        yield family
    yield from _tier_metrics(prefix, counts)
    yield from _event_metrics(prefix, counts)


def _tier_metrics(prefix: str, counts: Counts) -> Iterator[Metric]:
    for name, by_tier, help_text in (
        ("cache_requests", counts.tier_requests, "Requests to Redis and Airtable for calls."),
        (
            "cache_request_failures",
            counts.tier_failures,
            "Requests to Redis and Airtable for calls that failed.",
        ),
        (
            "cache_request_seconds",
            counts.tier_seconds,
            "Time that calls waited for Redis and Airtable.",
        ),
    ):
        family = CounterMetricFamily(f"{prefix}_{name}", help_text, labels=("tier",))
        for tier, amount in sorted(by_tier.items()):
            family.add_metric((tier,), amount)
        yield family


def _event_metrics(prefix: str, counts: Counts) -> Iterator[Metric]:
    for name, event, help_text in (
        ("airtable_requests", "airtable_requests", "Requests to Airtable."),
        (
            "airtable_rate_limiter_waits",
            "rate_limiter_waits",
            "Requests to Airtable that waited for the rate limiter (five per second).",
        ),
        ("airtable_rate_limited", "rate_limited", "Airtable's 429 responses."),
        (
            "answer_log_dropped",
            "answer_log_dropped",
            "Calls that are not in the answer log, because there were too many at once.",
        ),
        ("callers_known", "callers_known", "Calls by a contact (with `[callers]` in the mapping)."),
        (
            "callers_unknown",
            "callers_unknown",
            "Calls by a stranger (with `[callers]` in the mapping).",
        ),
        (
            "follow_ups_sent",
            "follow_ups_sent",
            "Calls that OpenAI accepted or rejected when Siftly asked it to.",
        ),
        (
            "follow_ups_failed",
            "follow_ups_failed",
            "Calls that OpenAI did not accept or reject. The log says why.",
        ),
    ):
        yield CounterMetricFamily(f"{prefix}_{name}", help_text, counts.events[event])
    yield CounterMetricFamily(
        f"{prefix}_airtable_rate_limiter_wait_seconds",
        "Time that requests to Airtable waited for the rate limiter.",
        counts.rate_limiter_wait_seconds,
    )
    runs = CounterMetricFamily(
        f"{prefix}_refreshes", "Refreshes and rollbacks by result.", labels=("status",)
    )
    for status, count in sorted(counts.runs.items()):
        runs.add_metric((status,), count)
    yield runs


def _process_metrics(processes: list[Process]) -> Iterator[Metric]:
    labels = ("host", "process")
    for name, help_text in (
        ("entries", "Entries in a process's replica."),
        ("bytes", "Bytes of a process's replica."),
        ("in_sync", "1 if a process's replica is in sync with Redis."),
    ):
        family = GaugeMetricFamily(f"siftly_replica_{name}", help_text, labels=labels)
        for each in processes:
            family.add_metric((each.host, each.id), float(getattr(each, name)))
        yield family
    yield _circuit_breaker_metric(processes)


def _circuit_breaker_metric(processes: list[Process]) -> Metric:
    labels = ("host", "process", "circuit_breaker", "state")
    help_text = "1 for the circuit breaker's current state, 0 for the others."
    family = GaugeMetricFamily("siftly_circuit_breaker_state", help_text, labels=labels)
    for each in processes:
        for name, current in each.circuit_breakers.items():
            for state in CIRCUIT_BREAKER_STATES:
                family.add_metric((each.host, each.id, name, state), float(current == state))
    return family


def _refresh_metrics(totals: Totals) -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "siftly_refresh_ended_timestamp_seconds",
        "When the last refresh with this result ended.",
        labels=("status",),
    )
    for status, run in sorted(totals.last_runs.items()):
        ended.add_metric((status,), run.ended_at)
    yield ended
    if newest := _newest(totals.last_runs.values()):
        help_text = "Duration of the last refresh."
        yield _gauge("siftly_refresh_duration_seconds", help_text, newest.duration_seconds)
    successful = (run for run in totals.last_runs.values() if run.status in SUCCESSFUL)
    if last := _newest(successful):
        for name, meaning in REFRESH_FIGURES.items():
            help_text = f"{meaning} in the last successful refresh."
            yield _gauge(f"siftly_refresh_{name}", help_text, getattr(last, name))


def _newest(runs: Iterable[RefreshResult]) -> RefreshResult | None:
    return max(runs, key=lambda run: run.ended_at, default=None)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Prometheus' buckets are cumulative."""
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    counts = histogram.counts
    return [(bound, sum(counts[: place + 1])) for place, bound in enumerate(bounds)]
