"""Collects the facts for the health rules, from Redis, the database and the process itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync.airtable.limits.monthly_usage import MonthlyUsage
from airtable_sync.airtable.limits.quota import forecast_quota
from airtable_sync.changes.polling import MARGIN_SECONDS
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring.export.airtable_status import AirtableStatus
from airtable_sync.monitoring.export.refresh_results import RefreshResult
from airtable_sync.monitoring.health_rules import HealthFacts, LastRun

SAME_RUN_SECONDS = 5.0  # between its end in Redis and in the database


@dataclass(frozen=True)
class ProcessFacts:
    """What a process knows itself, and from its settings."""

    started_at: datetime
    has_redis: bool
    plan: str
    feed_interval: float | None  # seconds between two readings; None: the change feed is off
    access_denied: str = ""  # Airtable's message to this process
    quota_exceeded: bool = False  # as this machine knows


@dataclass(frozen=True)
class RedisFacts:
    usage: MonthlyUsage
    last_run: LastRun | None
    feed_read_at: int  # ms; 0: never
    access_denied: str
    quota_exceeded: bool
    paused: bool


@dataclass(frozen=True)
class DatabaseFacts:
    last_run: LastRun | None
    refresh_running: bool
    paused: bool
    feed: ChangeFeed | None


def redis_facts(
    usage: MonthlyUsage, last_runs: Mapping[str, RefreshResult], airtable: AirtableStatus
) -> RedisFacts:
    return RedisFacts(
        usage=usage,
        last_run=_last_run_in_redis(last_runs),
        feed_read_at=airtable.feed_read_at,
        access_denied=airtable.access_denied,
        quota_exceeded=airtable.quota_exceeded,
        paused=airtable.paused,
    )


def combine_facts(
    at: datetime,
    process: ProcessFacts,
    redis: RedisFacts | None,
    database: DatabaseFacts | None,
) -> HealthFacts:
    """`redis` and `database` are None if they do not answer."""
    return HealthFacts(
        at=at,
        started_at=process.started_at,
        runs_readable=database is not None,
        last_run=_last_run(redis, database),
        refresh_running=database is not None and database.refresh_running,
        paused=(redis is not None and redis.paused) or (database is not None and database.paused),
        forecast=forecast_quota(redis.usage, process.plan) if redis else None,
        quota_exceeded=_quota_exceeded(process, redis),
        access_denied=_access_denied(process, redis),
        feed_behind_seconds=_feed_behind_seconds(at, process, redis, database),
    )


def last_run_in_database(run: Run | None) -> LastRun | None:
    return LastRun(run.status, run.ended_at, run.message) if run and run.ended_at else None


def _last_run_in_redis(runs: Mapping[str, RefreshResult]) -> LastRun | None:
    last = max(runs.values(), key=lambda run: run.ended_at, default=None)
    return LastRun(last.status, datetime.fromtimestamp(last.ended_at, UTC)) if last else None


def _last_run(redis: RedisFacts | None, database: DatabaseFacts | None) -> LastRun | None:
    """If both have the same run, the database's, which has the message. A cron job on another
    machine may use another database."""
    in_redis = redis.last_run if redis else None
    in_database = database.last_run if database else None
    if in_redis is None or in_database is None:
        return in_redis or in_database
    ahead = (in_redis.ended_at - in_database.ended_at).total_seconds()
    return in_redis if ahead > SAME_RUN_SECONDS else in_database


def _quota_exceeded(process: ProcessFacts, redis: RedisFacts | None) -> bool | None:
    """Without Redis, this machine's file is the only source. If Redis is down, it may know more."""
    if redis:
        return redis.quota_exceeded
    return process.quota_exceeded or (None if process.has_redis else False)


def _access_denied(process: ProcessFacts, redis: RedisFacts | None) -> str | None:
    if process.access_denied or not process.has_redis:
        return process.access_denied
    return redis.access_denied if redis else None


def _feed_behind_seconds(
    at: datetime,
    process: ProcessFacts,
    redis: RedisFacts | None,
    database: DatabaseFacts | None,
) -> float | None:
    """By how many seconds the reading of the feed is late: after twice the interval and a margin.
    None if the feed is off or stopped, or if Redis or the database is down."""
    if process.feed_interval is None or redis is None or database is None:
        return None
    if database.feed and database.feed.stopped:
        return None
    in_database = database.feed.read_at if database.feed else 0
    read_at = max(redis.feed_read_at, in_database) / 1000 or process.started_at.timestamp()
    return max(0.0, at.timestamp() - read_at - 2 * process.feed_interval - MARGIN_SECONDS)
