"""When a fact counts as a problem. Alerts and the status page use the same rules. Pure functions;
None means that it can't be decided now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from airtable_sync.airtable.limits.quota import QuotaForecast
from airtable_sync.refresh.cron_monitor import INTERVAL_SECONDS, MARGIN_MINUTES
from airtable_sync.refresh.rollback import PAUSED_MESSAGE

MARGIN = timedelta(minutes=MARGIN_MINUTES)  # a cron job may start late, and a refresh takes time
CRON_OVERDUE = timedelta(seconds=2 * INTERVAL_SECONDS) + MARGIN
REDIS_DOWN_SECONDS = 180.0
DATABASE_DOWN_SECONDS = 300.0
FEED_BEHIND_SECONDS = 300.0  # beyond its own interval
QUOTA_SHARE = 0.8

Kind = Literal["refresh", "cron", "quota", "access", "redis", "database", "feed"]


@dataclass(frozen=True)
class LastRun:
    status: str  # as in `models.Run`
    ended_at: datetime
    message: str = ""


@dataclass(frozen=True)
class HealthFacts:
    at: datetime
    started_at: datetime  # of this process
    runs_readable: bool = False
    last_run: LastRun | None = None
    refresh_running: bool = False
    paused: bool = False  # by a rollback
    forecast: QuotaForecast | None = None
    quota_exceeded: bool | None = None
    access_denied: str | None = None  # Airtable's message; "" if it accepts the token
    feed_behind_seconds: float | None = None
    redis_down_seconds: float | None = None
    database_down_seconds: float = 0.0


def problems(facts: HealthFacts) -> dict[Kind, bool]:
    """Whether there is a problem of each kind. A kind that can't be decided is left out."""
    quota = quota_problem(facts)
    denied = facts.access_denied
    found: dict[Kind, bool | None] = {
        "refresh": has_refresh_failed(facts),
        "cron": is_cron_overdue(facts),
        "quota": None if quota is None else quota != "",
        "access": None if denied is None else denied != "",
        "redis": _exceeds(facts.redis_down_seconds, REDIS_DOWN_SECONDS),
        "database": _exceeds(facts.database_down_seconds, DATABASE_DOWN_SECONDS),
        "feed": is_feed_behind(facts),
    }
    return {kind: is_problem for kind, is_problem in found.items() if is_problem is not None}


def has_refresh_failed(facts: HealthFacts) -> bool | None:
    """A refresh that was rejected because publishing is paused is no failure."""
    if not facts.runs_readable:
        return None
    last = facts.last_run
    if last is None or last.status not in ("refused", "failed"):
        return False
    return last.status == "failed" or not (facts.paused or PAUSED_MESSAGE in last.message)


def is_cron_overdue(facts: HealthFacts) -> bool | None:
    if not facts.runs_readable:
        return None
    last = facts.last_run.ended_at if facts.last_run else facts.started_at
    return not facts.refresh_running and facts.at - last > CRON_OVERDUE


def quota_problem(facts: HealthFacts) -> Literal["exceeded", "runs out", ""] | None:
    """By Airtable's own message, and by the count of requests if the plan is known."""
    if facts.quota_exceeded:
        return "exceeded"
    if facts.quota_exceeded is None and facts.forecast is None:
        return None
    return "runs out" if facts.forecast and _runs_out(facts.forecast) else ""


def is_feed_behind(facts: HealthFacts) -> bool | None:
    return _exceeds(facts.feed_behind_seconds, FEED_BEHIND_SECONDS)


def is_cache_too_old(age: timedelta, ttl: timedelta) -> bool:
    """Whether the cache's age means that about two refreshes are missing."""
    return age > 2 * ttl + MARGIN


def _runs_out(forecast: QuotaForecast) -> bool:
    limit = forecast.limit
    is_nearly_used = limit is not None and forecast.requests >= QUOTA_SHARE * limit
    return is_nearly_used or forecast.exceeds


def _exceeds(seconds: float | None, allowed: float) -> bool | None:
    return None if seconds is None else seconds > allowed
