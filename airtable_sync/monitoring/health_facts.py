"""What is known, put together from what Redis, the database and the process itself say: in one way
for alerts and for the status page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync.airtable.quota import PLANS, Forecast
from airtable_sync.airtable.rate_limiter import Month
from airtable_sync.changes.polling import MARGIN_SECONDS
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring.health_rules import Known, LastRun
from airtable_sync.monitoring.metrics.refresh_results import RunResult

SAME_RUN_SECONDS = 5.0  # between what Redis and the database say of its end


@dataclass(frozen=True)
class Own:
    """What a process knows by itself, and by the environment."""

    up_since: datetime
    has_redis: bool
    plan: str
    feed_interval: float | None  # seconds between two readings; None: the feed is off
    access_denied: str = ""  # Airtable's word to this process
    quota_used_up: bool = False  # as its host was told


@dataclass(frozen=True)
class Shared:
    """What Redis says."""

    month: Month
    last_run: LastRun | None
    feed_read_at: int  # when the change feed was read to its end, ms; 0: never
    access_denied: str
    quota_used_up: bool
    held: bool


@dataclass(frozen=True)
class Kept:
    """What the database says."""

    last_run: LastRun | None
    running: bool
    held: bool
    feed: ChangeFeed | None


def known(at: datetime, own: Own, shared: Shared | None, kept: Kept | None) -> Known:
    by_redis = shared.last_run if shared else None
    return Known(
        at=at,
        up_since=own.up_since,
        runs_known=kept is not None,
        last_run=_later(by_redis, kept.last_run if kept else None),
        running=kept is not None and kept.running,
        held=(shared is not None and shared.held) or (kept is not None and kept.held),
        forecast=_forecast(own, shared.month) if shared else None,
        quota_used_up=_used_up(own, shared),
        access_denied=_refused(own, shared),
        feed_behind_seconds=_behind(at, own, shared, kept),
    )


def of_run(run: Run | None) -> LastRun | None:
    return LastRun(run.status, run.ended_at, run.sentence) if run and run.ended_at else None


def of_results(runs: Mapping[str, RunResult]) -> LastRun | None:
    last = max(runs.values(), key=lambda run: run.ended_at, default=None)
    return LastRun(last.status, datetime.fromtimestamp(last.ended_at, UTC)) if last else None


def _later(by_redis: LastRun | None, by_database: LastRun | None) -> LastRun | None:
    """Of one run, what the database says: it knows why. A cron job on another machine may have a
    database of its own."""
    if by_redis is None or by_database is None:
        return by_redis or by_database
    ahead = (by_redis.ended_at - by_database.ended_at).total_seconds()
    return by_redis if ahead > SAME_RUN_SECONDS else by_database


def _forecast(own: Own, month: Month) -> Forecast:
    return Forecast(month.month, month.requests, month.forecast, PLANS.get(own.plan))


def _used_up(own: Own, shared: Shared | None) -> bool | None:
    """Without Redis the host's file is all there is. Where Redis is only away, it may know more."""
    if shared:
        return shared.quota_used_up
    return own.quota_used_up or (None if own.has_redis else False)


def _refused(own: Own, shared: Shared | None) -> str | None:
    if own.access_denied or not own.has_redis:
        return own.access_denied
    return shared.access_denied if shared else None


def _behind(at: datetime, own: Own, shared: Shared | None, kept: Kept | None) -> float | None:
    """By how much the feed's last reading is later than its interval allows. One that an operator
    stopped is not late; nor is anybody to blame for it while Redis is away."""
    if own.feed_interval is None or shared is None or kept is None:
        return None
    if kept.feed and kept.feed.stopped:
        return None
    in_database = kept.feed.feed_read_at if kept.feed else 0
    read_at = max(shared.feed_read_at, in_database) / 1000 or own.up_since.timestamp()
    return max(0.0, at.timestamp() - read_at - 2 * own.feed_interval - MARGIN_SECONDS)
