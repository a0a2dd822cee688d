"""Gathers the facts: Redis in a thread with a deadline, the database beside it, Airtable never. How
many commands and queries that takes does not depend on how much there is."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable import access, circuit_breakers, rate_limiter
from airtable_sync.cache.redis_store import REFRESH_LOCK, CacheUnavailable, Store
from airtable_sync.cache.replica import of_this_process
from airtable_sync.changes import polling
from airtable_sync.models import ChangeFeed, Lease, Override, Run, Snapshot
from airtable_sync.monitoring.calls import unknown_numbers
from airtable_sync.monitoring.metrics import counters, time_series, totals
from airtable_sync.monitoring.metrics.time_series import Span
from airtable_sync.refresh import history, rollback
from airtable_sync.status import platform_previews
from airtable_sync.status.health.facts import DatabaseFacts, Facts, Here, RedisFacts, Setup

T = TypeVar("T")

REDIS_SECONDS = 1.2
RUNS_SHOWN = 12
UNKNOWN_SHOWN = 10
UP_SINCE = timezone.now()  # this process
NOT_IN_TIME = f"It did not answer within {REDIS_SECONDS} s."
# The short limits of a call, and no breaker: a person who looks must not change what calls do.
STATUS = Store("default")
_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="status")


def gather(span: Span = "hour") -> Facts:
    asking = _THREADS.submit(_redis, span) if settings.REDIS_URL else None
    started = time.monotonic()
    database, database_trouble = _or_trouble(_database)
    redis, redis_trouble = None, ""
    if asking:
        left = max(0.0, REDIS_SECONDS - (time.monotonic() - started))
        redis, redis_trouble = _or_trouble(lambda: asking.result(left))
    return Facts(
        at=datetime.now(UTC),
        setup=_setup(redis),
        here=_here(),
        redis=redis,
        redis_trouble=redis_trouble,
        database=database,
        database_trouble=database_trouble,
    )


def _or_trouble(part: Callable[[], T]) -> tuple[T | None, str]:
    try:
        return part(), ""
    except TimeoutError:
        return None, NOT_IN_TIME
    except (CacheUnavailable, DatabaseError) as error:
        return None, str(error)


def _setup(redis: RedisFacts | None) -> Setup:
    follows = redis if settings.AIRTABLE_CHANGES != "off" else None
    return Setup(
        redis=bool(settings.REDIS_URL),
        airtable=bool(settings.AIRTABLE_API_KEY and settings.AIRTABLE_BASE_ID),
        platforms=platform_previews.set_up(),
        changes=settings.AIRTABLE_CHANGES if settings.REDIS_URL else "off",
        poll_seconds=polling.poll_seconds(follows.state.month.requests) if follows else 0.0,
        ttl_seconds=settings.CACHE_TTL_SECONDS,
        stale_seconds=settings.CACHE_STALE_SECONDS,
        plan=settings.AIRTABLE_PLAN or "",
    )


def _here() -> Here:
    replica = of_this_process()
    return Here(
        entries=len(replica),
        known=replica.known,
        complete=replica.complete or not settings.REDIS_URL,
        in_sync=replica.in_sync,
        confirmed_at=replica.confirmed_at,
        up_since=UP_SINCE,
        access_denied=access.refused_here(),
        quota_used_up=rate_limiter.is_quota_used_up_here(),
        breakers={
            each.name: each.state.value
            for each in (circuit_breakers.REDIS, circuit_breakers.AIRTABLE)
        },
        counts=counters.counts,
    )


def _redis(span: Span) -> RedisFacts:
    started = time.monotonic()
    STATUS.now()
    latency = time.monotonic() - started
    chosen = time_series.read(span, STATUS)
    lease, blocked_for = STATUS.ask(
        ("EXISTS", REFRESH_LOCK),
        ("PTTL", rate_limiter.BLOCKED),
    )
    used, limit = STATUS.memory()
    now = totals.read(STATUS)
    return RedisFacts(
        state=now,
        hour=(chosen if span == "hour" else time_series.read("hour", STATUS)).total,
        history=chosen,
        unknown=unknown_numbers.called(UNKNOWN_SHOWN, STATUS),
        latency_seconds=latency,
        memory_bytes=used,
        max_memory_bytes=limit,
        held=now.marks.held,
        refresh_lock_taken=lease == 1,
        feed_read_at=now.marks.feed_read_at,
        blocked_by=now.marks.blocked_by,
        blocked_seconds=max(0, blocked_for) / 1000,
        access_denied=now.marks.access_denied,
    )


def _database() -> DatabaseFacts:
    newest = list(Run.objects.defer("details")[:RUNS_SHOWN])
    snapshots = Snapshot.objects.defer("content")
    return DatabaseFacts(
        runs=newest,
        sets={each.run_id: each for each in snapshots},
        holding=rollback.holding_run(),
        pins=list(Override.objects.filter(ends_at__gt=timezone.now())),
        feed=ChangeFeed.objects.filter(base=settings.AIRTABLE_BASE_ID or "").first(),
        lease=Lease.objects.filter(name=REFRESH_LOCK, until__gt=timezone.now()).exists(),
        expected=history.last_records(),
    )
