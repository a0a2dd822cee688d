"""What is the matter, as far as this process can see. Redis is asked every five minutes only: some
bill every command."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync import access, budget, forecast, pace
from airtable_sync.alerts.troubles import Facts, LastRun
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.replica import of_this_process
from airtable_sync.store import StoreUnavailable
from airtable_sync.telemetry import flush, run_results

ASK_REDIS_SECONDS = 300.0
SAME_RUN_SECONDS = 5.0  # between what Redis and the database say of its end


class Observer:
    def __init__(self) -> None:
        self._up_since = timezone.now()
        self._asked_at = float("-inf")
        self._by_redis = Facts(self._up_since, self._up_since)
        self._redis_away_since: float | None = None
        self._database_away_since: float | None = None

    def facts(self) -> Facts:
        """It may wait for the database and for Redis, and raises nothing of theirs."""
        known = replace(self._asked_redis(), at=timezone.now())
        known = replace(known, redis_away_seconds=self._redis_away())
        try:
            return replace(self._with_the_database(known), database_away_seconds=0.0)
        except DatabaseError:
            since = self._database_away_since or time.monotonic()
            self._database_away_since = since
            return replace(known, database_away_seconds=time.monotonic() - since)

    def _asked_redis(self) -> Facts:
        if time.monotonic() - self._asked_at >= ASK_REDIS_SECONDS:
            self._asked_at = time.monotonic()
            nothing = Facts(self._up_since, self._up_since)
            try:
                self._by_redis = _with_redis(nothing)
            except StoreUnavailable:
                self._by_redis = nothing
        return self._by_redis

    def _redis_away(self) -> float | None:
        if not settings.REDIS_URL:
            return None
        if of_this_process().in_step and flush.of_this_process().arrives:
            self._redis_away_since = None
            return 0.0
        self._redis_away_since = self._redis_away_since or time.monotonic()
        return time.monotonic() - self._redis_away_since

    def _with_the_database(self, known: Facts) -> Facts:
        runs = Run.objects.exclude(ended_at=None).defer("details", "records")
        newest = runs.order_by("-ended_at").first()
        feed = ChangeFeed.objects.filter(base=settings.AIRTABLE_BASE_ID or "").first()
        self._database_away_since = None
        return replace(
            known,
            runs_known=True,
            last_run=_later(known.last_run, _of_run(newest)),
            feed_behind_seconds=_behind(feed, known) if feed else None,
        )


def _with_redis(known: Facts) -> Facts:
    if not settings.REDIS_URL:
        return known
    last = max(run_results.last().values(), key=lambda run: run.ended_at, default=None)
    moment = datetime.fromtimestamp(last.ended_at, UTC) if last else None
    return replace(
        known,
        last_run=LastRun(last.status, moment) if last and moment else None,
        forecast=forecast.current(),
        quota_used_up=budget.is_quota_used_up(),
        access_refused=access.refused(),
    )


def _of_run(run: Run | None) -> LastRun | None:
    return LastRun(run.status, run.ended_at, run.sentence) if run and run.ended_at else None


def _later(by_redis: LastRun | None, by_database: LastRun | None) -> LastRun | None:
    """Of one run, what the database says: it knows why. A cron job on another machine may have a
    database of its own."""
    if by_redis is None or by_database is None:
        return by_redis or by_database
    ahead = (by_redis.ended_at - by_database.ended_at).total_seconds()
    return by_redis if ahead > SAME_RUN_SECONDS else by_database


def _behind(feed: ChangeFeed, known: Facts) -> float | None:
    """By how much the feed's last reading is later than its interval allows."""
    if settings.AIRTABLE_CHANGES == "off" or not settings.REDIS_URL or feed.stopped:
        return None
    read_at = feed.drained_at / 1000 or known.up_since.timestamp()
    return max(0.0, time.time() - read_at - pace.valid_for_seconds())
