"""Collects the facts: from Redis in a thread with a deadline, from the database meanwhile. Airtable
is not asked. The number of commands and queries does not depend on the amount of data."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from django.db import DatabaseError

from airtable_sync.airtable.limits.rate_limiter import BLOCKED_KEY
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.cache.overrides import active_overrides
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumbers
from airtable_sync.monitoring.export.time_series import Span, TimeSeries, read_time_series
from airtable_sync.monitoring.export.totals import read_totals
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.background_process import is_locked_in_database
from airtable_sync.refresh.history import last_complete_run, record_counts
from airtable_sync.refresh.rollback import pausing_run
from airtable_sync.services import Services
from airtable_sync.status.health.facts import (
    DatabaseStatus,
    Facts,
    ProcessStatus,
    RedisStatus,
    Setup,
)
from airtable_sync.status.health.records_to_fix import records_to_fix

T = TypeVar("T")

REDIS_SECONDS = 1.2
RUNS_SHOWN = 12
CRON_RUNS = 6  # whose intervals are compared
UNKNOWN_SHOWN = 10
TOO_LATE = f"It did not answer within {REDIS_SECONDS} s."


class StatusCollector:
    def __init__(self, services: Services, platforms: Callable[[], tuple[str, ...]]) -> None:
        """`platforms` returns the names of the platforms that have a secret."""
        self._services = services
        self._platforms = platforms
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="status")

    def collect(self, span: Span = "hour") -> Facts:
        """Takes little more than REDIS_SECONDS at most while the database answers."""
        has_redis = self._services.configuration.has_redis
        reading = self._threads.submit(self._read_redis, span) if has_redis else None
        until = time.monotonic() + REDIS_SECONDS
        database, database_error = _result_or_error(self._read_database)
        redis, redis_error = None, ""
        if reading:
            left = max(0.0, until - time.monotonic())
            redis, redis_error = _result_or_error(lambda: reading.result(left))
        return Facts(
            at=datetime.now(UTC),
            setup=self._setup(redis),
            process=self._process(),
            redis=redis,
            redis_error=redis_error,
            database=database,
            database_error=database_error,
        )

    def _setup(self, redis: RedisStatus | None) -> Setup:
        c = self._services.configuration
        changes = c.airtable_changes if c.has_redis else "off"
        poll_seconds = 0.0
        if redis and changes != "off":
            poll_seconds = self._services.polling.interval_seconds(redis.totals.usage.requests)
        return Setup(
            has_redis=c.has_redis,
            has_token=bool(c.airtable_api_key and c.airtable_base_id),
            platforms=self._platforms(),
            changes=changes,
            poll_seconds=poll_seconds,
            ttl_seconds=c.cache_ttl_seconds,
            stale_seconds=c.cache_stale_seconds,
            plan=c.airtable_plan,
            has_alerts=c.has_alerts,
            fingerprint=self._services.active_mapping.description_and_fingerprint()[1],
        )

    def _process(self) -> ProcessStatus:
        services = self._services
        process, replica = services.heartbeat.process(), services.replica
        return ProcessStatus(
            entries=process.entries,
            known_numbers=replica.count_known,
            complete=process.complete or not services.configuration.has_redis,
            in_sync=process.in_sync,
            confirmed_at=replica.confirmed_at,
            circuit_breakers=process.circuit_breakers,
            counts=services.counters.counts,
            started_at=process.started_at,
            access_denied=services.access.denied_message,
            quota_exceeded=services.rate_limiter.is_quota_exceeded_here(),
        )

    def _read_redis(self, span: Span) -> RedisStatus:
        """Raises CacheUnavailable."""
        store = self._services.status_store
        started = time.monotonic()
        store.now()
        latency = time.monotonic() - started
        series = read_time_series(span, store)
        hour = series if span == "hour" else read_time_series("hour", store)
        locks, blocked_ms = store.read_all(("EXISTS", REFRESH_LOCK), ("PTTL", BLOCKED_KEY))
        return RedisStatus(
            totals=read_totals(store),
            last_hour=hour.total,
            time_series=series,
            unknown_numbers=UnknownNumbers(store).called(UNKNOWN_SHOWN),
            latency_seconds=latency,
            server=store.server_info(),
            is_refresh_locked=locks == 1,
            blocked_seconds=max(0, blocked_ms) / 1000,
            last_failed_lookup_at=_last_failed_lookup(hour),
        )

    def _read_database(self) -> DatabaseStatus:
        """Raises DatabaseError."""
        base_id = self._services.configuration.airtable_base_id
        complete = last_complete_run()
        successful = (Run.Status.PUBLISHED, Run.Status.UNCHANGED, Run.Status.ROLLED_BACK)
        return DatabaseStatus(
            runs=list(Run.objects.defer("details")[:RUNS_SHOWN]),
            snapshots=list(self._services.snapshots.all()),
            pausing_run=pausing_run(),
            overrides=active_overrides(),
            feed=ChangeFeed.objects.filter(base=base_id).first(),
            is_refresh_locked=is_locked_in_database(),
            expected_records=record_counts(complete),
            last_success=Run.objects.defer("details").filter(status__in=successful).first(),
            records_to_fix=records_to_fix(complete) if complete else None,
            cron_starts=_cron_starts(),
        )


def _last_failed_lookup(hour: TimeSeries) -> datetime | None:
    failed = (each.start for each in hour.points if each.counts.tier_failures["airtable"])
    return max(failed, default=None)


def _cron_starts() -> list[datetime]:
    runs = Run.objects.filter(trigger=Run.Trigger.CRON)
    return list(runs.values_list("started_at", flat=True)[:CRON_RUNS])


def _result_or_error(read: Callable[[], T]) -> tuple[T | None, str]:
    try:
        return read(), ""
    except TimeoutError:
        return None, TOO_LATE
    except (CacheUnavailable, DatabaseError) as error:
        return None, str(error)
