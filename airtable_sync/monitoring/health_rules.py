"""What is a trouble, and from when on. Alerts tell by these limits, and the status page speaks by
them: over the same facts both come to the same verdict. Pure functions; None is what can't be said
at the moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from airtable_sync.airtable.quota import Forecast
from airtable_sync.refresh.cron_monitor import INTERVAL_SECONDS, MARGIN_MINUTES

MARGIN = timedelta(minutes=MARGIN_MINUTES)  # a cron job may begin late, and a refresh takes time
CRON_LATE = timedelta(seconds=2 * INTERVAL_SECONDS) + MARGIN
REDIS_AWAY_SECONDS = 180.0
DATABASE_AWAY_SECONDS = 300.0
FEED_BEHIND_SECONDS = 300.0  # beyond what its own interval allows
QUOTA_SHARE = 0.8
HELD = "a rollback holds"  # what a refresh says that was refused for that

Kind = Literal["refresh", "cron", "quota", "access", "redis", "database", "feed"]


@dataclass(frozen=True)
class LastRun:
    status: str  # as in `models.Run`
    ended_at: datetime
    sentence: str = ""


@dataclass(frozen=True)
class Known:
    """What alerts and the status page judge by."""

    at: datetime
    up_since: datetime
    runs_known: bool = False
    last_run: LastRun | None = None
    running: bool = False  # a refresh goes on
    held: bool = False  # by a rollback
    forecast: Forecast | None = None
    quota_used_up: bool | None = None
    access_denied: str | None = None  # Airtable's word; empty: it lets us in
    feed_behind_seconds: float | None = None
    redis_away_seconds: float | None = None
    database_away_seconds: float = 0.0


def judged(known: Known) -> dict[Kind, bool]:
    """Whether there is each kind of trouble; what can't be said is left out."""
    verdicts: dict[Kind, bool | None] = {
        "refresh": refresh_has_failed(known),
        "cron": cron_is_late(known),
        "quota": None if (word := quota(known)) is None else word != "",
        "access": None if known.access_denied is None else known.access_denied != "",
        "redis": _is_more(known.redis_away_seconds, REDIS_AWAY_SECONDS),
        "database": _is_more(known.database_away_seconds, DATABASE_AWAY_SECONDS),
        "feed": feed_is_behind(known),
    }
    return {kind: verdict for kind, verdict in verdicts.items() if verdict is not None}


def refresh_has_failed(known: Known) -> bool | None:
    """That a rollback holds refreshes is meant so."""
    if not known.runs_known:
        return None
    last = known.last_run
    if last is None or last.status not in ("refused", "failed"):
        return False
    return last.status == "failed" or not (known.held or HELD in last.sentence)


def cron_is_late(known: Known) -> bool | None:
    if not known.runs_known:
        return None
    last = known.last_run.ended_at if known.last_run else known.up_since
    return not known.running and known.at - last > CRON_LATE


def quota(known: Known) -> Literal["used up", "runs out", ""] | None:
    """By Airtable's own word, with or without a plan, and by the count of what the plan allows."""
    if known.quota_used_up:
        return "used up"
    if known.quota_used_up is None and known.forecast is None:
        return None
    return "runs out" if known.forecast and _runs_out(known.forecast) else ""


def feed_is_behind(known: Known) -> bool | None:
    return _is_more(known.feed_behind_seconds, FEED_BEHIND_SECONDS)


def is_old(age: timedelta, fresh: timedelta) -> bool:
    """What is cached has missed two refreshes, or so."""
    return age > 2 * fresh + MARGIN


def _runs_out(forecast: Forecast) -> bool:
    nearly = forecast.allowed is not None and forecast.requests >= QUOTA_SHARE * forecast.allowed
    return nearly or forecast.exceeds


def _is_more(seconds: float | None, allowed: float) -> bool | None:
    return None if seconds is None else seconds > allowed
