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
        totals = found[0] if found else None
        yield _gauge("siftly_redis_up", "Whether Redis answers.", float(totals is not None))
        if found:
            yield from _redis_metrics(found[1])
        if totals:
            yield from _count_metrics("siftly", totals.counts)
            yield from _process_metrics(totals.processes)
            yield from _refresh_metrics(totals)
            yield from self._airtable_metrics(totals)
        else:
            yield from _count_metrics("siftly_process", self._counters.counts)
            yield from _process_metrics([self._heartbeat.process()])

    def _ask_redis(self) -> tuple[Totals, ServerInfo] | None:
        try:
            return read_totals(self._store), self._store.server_info()
        except CacheUnavailable as error:
            logger.debug("The metrics are those of this process only: %s", error)
            return None

    def _airtable_metrics(self, totals: Totals) -> Iterator[Metric]:
        usage, airtable = totals.usage, totals.airtable
        denied = bool(airtable.access_denied)
        for name, help_text, value in (
            (
                "snapshot_numbers",
                "Known numbers: the last publication, and the changes since.",
                totals.numbers,
            ),
            (
                "cache_age_seconds",
                "Seconds since all of Airtable was read, or confirmed unchanged.",
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
                "Requests at the end of the month, at this rate.",
                usage.forecast,
            ),
            (
                "airtable_quota_limit_requests",
                "Requests that the plan allows in a month.",
                PLANS.get(self._plan),
            ),
            (
                "publishing_paused",
                "Whether a rollback pauses publishing.",
                airtable.paused,
            ),
            (
                "airtable_quota_exceeded",
                "Whether Airtable says that the monthly quota is used up.",
                airtable.quota_exceeded,
            ),
            ("airtable_access_denied", "Whether Airtable rejects the token.", denied),
        ):
            if value is not None:
                yield _gauge(f"siftly_{name}", help_text, value)
        if self._polling:
            yield from _change_feed_metrics(totals, self._polling)


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _redis_metrics(info: ServerInfo) -> Iterator[Metric]:
    """What Redis says about itself; nothing of what it does not say."""
    if info.evicted_keys is not None:
        help_text = "Keys, of all applications, that Redis removed because its memory was full."
        yield CounterMetricFamily("siftly_redis_evicted_keys", help_text, info.evicted_keys)
    if info.used_bytes is not None:
        yield _gauge("siftly_redis_used_bytes", "Memory that Redis uses.", info.used_bytes)
    if info.max_bytes:
        yield _gauge("siftly_redis_limit_bytes", "Memory that Redis may use.", info.max_bytes)


def _change_feed_metrics(totals: Totals, polling: Polling) -> Iterator[Metric]:
    yield _gauge(
        "siftly_change_feed_read_timestamp_seconds",
        "When the change feed was last read to its end; 0: never.",
        totals.airtable.feed_read_at / 1000,
    )
    yield _gauge(
        "siftly_change_feed_interval_seconds",
        "Seconds between two readings without a change notification.",
        polling.interval_seconds(totals.usage.requests),
    )


def _count_metrics(prefix: str, counts: Counts) -> Iterator[Metric]:
    calls = CounterMetricFamily(f"{prefix}_calls", "Answered calls.", labels=("platform", "source"))
    for (platform, source), count in sorted(counts.calls.items()):
        calls.add_metric((platform, source), count)
    yield calls
    latency = HistogramMetricFamily(
        f"{prefix}_call_duration_seconds", "From a call to its answer.", labels=("source",)
    )
    for source, histogram in sorted(counts.latency.items()):
        latency.add_metric((source,), _buckets(histogram), histogram.total)
    yield latency
    for name, histogram, help_text in (
        ("served_entry_age_seconds", counts.age, "Age of the served cache entries."),
        (
            "change_propagation_seconds",
            counts.propagation,
            "From an edit in Airtable until it was live.",
        ),
    ):
        family = HistogramMetricFamily(f"{prefix}_{name}", help_text)
        family.add_metric((), _buckets(histogram), histogram.total)
        yield family
    yield from _tier_metrics(prefix, counts)
    yield from _event_metrics(prefix, counts)


def _tier_metrics(prefix: str, counts: Counts) -> Iterator[Metric]:
    for name, by_tier, help_text in (
        ("cache_requests", counts.tier_requests, "Requests to a tier behind memory."),
        ("cache_request_failures", counts.tier_failures, "Requests without an answer."),
        ("cache_request_seconds", counts.tier_seconds, "Seconds that calls waited for a tier."),
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
            "Requests to Airtable that waited for the rate limiter.",
        ),
        ("airtable_rate_limited", "rate_limited", "Airtable's 429 responses."),
        ("answer_log_dropped", "answer_log_dropped", "Answers that the answer log dropped."),
        ("callers_known", "callers_known", "Calls by a caller who is among the contacts."),
        ("callers_unknown", "callers_unknown", "Calls by a stranger."),
        ("follow_ups_sent", "follow_ups_sent", "Calls that a platform accepted or rejected."),
        ("follow_ups_failed", "follow_ups_failed", "Calls that a platform was not told of."),
    ):
        yield CounterMetricFamily(f"{prefix}_{name}", help_text, counts.events[event])
    yield CounterMetricFamily(
        f"{prefix}_airtable_rate_limiter_wait_seconds",
        "Seconds that requests to Airtable waited for the rate limiter.",
        counts.rate_limiter_wait_seconds,
    )
    runs = CounterMetricFamily(f"{prefix}_refreshes", "Refreshes by status.", labels=("status",))
    for status, count in sorted(counts.runs.items()):
        runs.add_metric((status,), count)
    yield runs


def _process_metrics(processes: list[Process]) -> Iterator[Metric]:
    labels = ("host", "process")
    for name, help_text in (
        ("entries", "Entries in a process's replica."),
        ("bytes", "Bytes of a process's replica."),
        ("in_sync", "Whether a process's replica is in sync with Redis."),
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
        "When the last refresh with this status ended.",
        labels=("status",),
    )
    for status, run in sorted(totals.last_runs.items()):
        ended.add_metric((status,), run.ended_at)
    yield ended
    if newest := _newest(totals.last_runs.values()):
        help_text = "Seconds that the last refresh took."
        yield _gauge("siftly_refresh_duration_seconds", help_text, newest.duration_seconds)
    successful = (run for run in totals.last_runs.values() if run.status in SUCCESSFUL)
    if last := _newest(successful):
        for name in ("numbers", "conflicts", "invalid"):
            help_text = f"{name.capitalize()} in the last successful refresh."
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
