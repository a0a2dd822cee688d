"""Collects the health facts of this process. It asks Redis only every five minutes: some services
bill each command."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable.access import AirtableAccess
from airtable_sync.airtable.limits.monthly_usage import monthly_usage
from airtable_sync.airtable.limits.rate_limiter import RateLimiter
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.changes.polling import Polling
from airtable_sync.configuration import Configuration
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring.export.airtable_status import decode_status, status_command
from airtable_sync.monitoring.export.refresh_results import LAST_RUNS_KEY, decode_results
from airtable_sync.monitoring.health_facts import (
    DatabaseFacts,
    ProcessFacts,
    RedisFacts,
    combine_facts,
    last_run_in_database,
    redis_facts,
)
from airtable_sync.monitoring.health_rules import HealthFacts
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.background_process import running_refresh
from airtable_sync.refresh.rollback import pausing_run

ASK_REDIS_SECONDS = 300.0


@dataclass(frozen=True)
class ObserverParts:
    """`is_redis_reachable` says whether the replica is in sync and the metrics arrive."""

    configuration: Configuration
    store: RedisStore
    access: AirtableAccess
    rate_limiter: RateLimiter
    polling: Polling
    is_redis_reachable: Callable[[], bool]


class HealthObserver:
    def __init__(self, parts: ObserverParts) -> None:
        self._parts = parts
        self._started_at = timezone.now()
        self._redis_read_at = float("-inf")
        self._redis_facts: RedisFacts | None = None
        self._redis_down_since: float | None = None
        self._database_down_since: float | None = None

    def facts(self) -> HealthFacts:
        """May wait for the database and for Redis. Raises none of their errors."""
        redis = self._read_redis()
        database = self._read_database()
        found = combine_facts(timezone.now(), self._process_facts(redis), redis, database)
        return replace(
            found,
            redis_down_seconds=self._redis_down_seconds(),
            database_down_seconds=_seconds_since(self._database_down_since),
        )

    def _read_redis(self) -> RedisFacts | None:
        if time.monotonic() - self._redis_read_at >= ASK_REDIS_SECONDS:
            self._redis_read_at = time.monotonic()
            self._redis_facts = None
            with suppress(CacheUnavailable):
                self._redis_facts = _read_redis_facts(self._parts.store)
        return self._redis_facts

    def _read_database(self) -> DatabaseFacts | None:
        try:
            facts = self._database_facts()
        except DatabaseError:
            self._database_down_since = self._database_down_since or time.monotonic()
            return None
        self._database_down_since = None
        return facts

    def _redis_down_seconds(self) -> float | None:
        if not self._parts.configuration.has_redis:
            return None
        if self._parts.is_redis_reachable():
            self._redis_down_since = None
            return 0.0
        self._redis_down_since = self._redis_down_since or time.monotonic()
        return _seconds_since(self._redis_down_since)

    def _process_facts(self, redis: RedisFacts | None) -> ProcessFacts:
        configuration, interval = self._parts.configuration, None
        if configuration.airtable_changes != "off" and redis is not None:
            interval = self._parts.polling.interval_seconds(redis.usage.requests)
        return ProcessFacts(
            started_at=self._started_at,
            has_redis=configuration.has_redis,
            plan=configuration.airtable_plan,
            feed_interval=interval,
            access_denied=self._parts.access.denied_message,
            quota_exceeded=self._parts.rate_limiter.is_quota_exceeded_here(),
        )

    def _database_facts(self) -> DatabaseFacts:
        """Raises DatabaseError."""
        runs = Run.objects.exclude(ended_at=None).defer("details", "records")
        base_id = self._parts.configuration.airtable_base_id
        return DatabaseFacts(
            last_run=last_run_in_database(runs.order_by("-ended_at").first()),
            refresh_running=self._is_refresh_running(),
            paused=pausing_run() is not None,
            feed=ChangeFeed.objects.filter(base=base_id).first(),
        )

    def _is_refresh_running(self) -> bool:
        """Redis is asked only if the database has a running one, which may have been killed."""
        if not Run.objects.filter(status=Run.Status.RUNNING).exists():
            return False
        store = self._parts.store if self._parts.configuration.has_redis else None
        try:
            return running_refresh(store) is not None
        except CacheUnavailable:
            return False


def _read_redis_facts(store: RedisStore) -> RedisFacts:
    """Two commands. Raises CacheUnavailable."""
    now = datetime.now(UTC)
    status, runs = store.read_all(status_command(store, now), ("HGETALL", LAST_RUNS_KEY))
    airtable = decode_status(status)
    return redis_facts(monthly_usage(airtable.requests, now), decode_results(runs), airtable)


def _seconds_since(moment: float | None) -> float:
    return 0.0 if moment is None else time.monotonic() - moment
