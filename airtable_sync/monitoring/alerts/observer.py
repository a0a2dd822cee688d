"""What is the matter, as far as this process can see. Redis is asked every five minutes only: some
bill every command."""

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.cache.redis_store import TELEMETRY, CacheUnavailable
from airtable_sync.cache.replica import of_this_process
from airtable_sync.changes import polling
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring.health_facts import Kept, Own, Shared, known, of_results, of_run
from airtable_sync.monitoring.health_rules import Known
from airtable_sync.monitoring.metrics import airtable_status, flush, refresh_results
from airtable_sync.refresh import background_process, rollback

ASK_REDIS_SECONDS = 300.0


class Observer:
    def __init__(self) -> None:
        self._up_since = timezone.now()
        self._asked_at = float("-inf")
        self._by_redis: Shared | None = None
        self._redis_away_since: float | None = None
        self._database_away_since: float | None = None

    def facts(self) -> Known:
        """It may wait for the database and for Redis, and raises nothing of theirs."""
        shared = self._asked_redis()
        kept = self._asked_the_database()
        found = known(timezone.now(), _own(self._up_since, shared), shared, kept)
        return replace(
            found,
            redis_away_seconds=self._redis_away(),
            database_away_seconds=self._database_away(),
        )

    def _asked_redis(self) -> Shared | None:
        if time.monotonic() - self._asked_at >= ASK_REDIS_SECONDS:
            self._asked_at = time.monotonic()
            self._by_redis = None
            with suppress(CacheUnavailable):
                self._by_redis = _shared()
        return self._by_redis

    def _asked_the_database(self) -> Kept | None:
        try:
            kept = _kept()
        except DatabaseError:
            self._database_away_since = self._database_away_since or time.monotonic()
            return None
        self._database_away_since = None
        return kept

    def _database_away(self) -> float:
        since = self._database_away_since
        return 0.0 if since is None else time.monotonic() - since

    def _redis_away(self) -> float | None:
        if not settings.REDIS_URL:
            return None
        if of_this_process().in_sync and flush.of_this_process().arrives:
            self._redis_away_since = None
            return 0.0
        self._redis_away_since = self._redis_away_since or time.monotonic()
        return time.monotonic() - self._redis_away_since


def _own(up_since: datetime, shared: Shared | None) -> Own:
    follows = settings.AIRTABLE_CHANGES != "off" and shared is not None
    return Own(
        up_since=up_since,
        has_redis=bool(settings.REDIS_URL),
        plan=settings.AIRTABLE_PLAN or "",
        feed_interval=polling.poll_seconds(shared.month.requests) if follows and shared else None,
        access_denied=access.refused_here(),
        quota_used_up=rate_limiter.is_quota_used_up_here(),
    )


def _shared() -> Shared:
    """In two commands. Raises CacheUnavailable."""
    now = datetime.now(UTC)
    noted, runs = TELEMETRY.ask(
        airtable_status.command(TELEMETRY, now),
        ("HGETALL", refresh_results.LAST_RUNS),
    )
    found = airtable_status.of_reply(noted)
    return Shared(
        month=rate_limiter.monthly_usage(found.requests, now),
        last_run=of_results(refresh_results.of_hash(runs)),
        feed_read_at=found.feed_read_at,
        access_denied=found.access_denied,
        quota_used_up=found.quota_used_up,
        held=found.held,
    )


def _kept() -> Kept:
    """Raises DatabaseError."""
    runs = Run.objects.exclude(ended_at=None).defer("details", "records")
    return Kept(
        last_run=of_run(runs.order_by("-ended_at").first()),
        running=_goes_on(),
        held=rollback.holding_run() is not None,
        feed=ChangeFeed.objects.filter(base=settings.AIRTABLE_BASE_ID or "").first(),
    )


def _goes_on() -> bool:
    """A refresh that was not killed; Redis is asked only if there seems to be one."""
    if not Run.objects.filter(status=Run.Status.RUNNING).exists():
        return False
    try:
        return background_process.who_runs() is not None
    except CacheUnavailable:
        return False
