"""What facts mean: a pure function, and the limits in one place."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from airtable_sync.cron import INTERVAL_SECONDS, MARGIN_MINUTES
from airtable_sync.forecast import Forecast

CRON_LATE = timedelta(seconds=2 * INTERVAL_SECONDS, minutes=MARGIN_MINUTES)
REDIS_AWAY_SECONDS = 180.0
DATABASE_AWAY_SECONDS = 300.0
FEED_BEHIND_SECONDS = 300.0  # beyond what its own interval allows
QUOTA_SHARE = 0.8

# Every kind of trouble, and what is said when it is over.
OVER = {
    "refresh": "the last refresh succeeded",
    "cron": "a refresh has run again",
    "quota": "the month's requests to Airtable will last",
    "access": "Airtable accepts the token",
    "redis": "Redis answers again",
    "database": "the database answers again",
    "feed": "changes in Airtable are read again",
}


@dataclass(frozen=True)
class LastRun:
    status: str  # as in `models.Run`
    ended_at: datetime
    sentence: str = ""


@dataclass(frozen=True)
class Facts:
    """None is what can't be said at the moment."""

    at: datetime
    up_since: datetime
    runs_known: bool = False
    last_run: LastRun | None = None
    forecast: Forecast | None = None
    quota_used_up: bool | None = None
    access_refused: str | None = None  # Airtable's word; empty: it lets us in
    redis_away_seconds: float | None = None
    database_away_seconds: float = 0.0
    feed_behind_seconds: float | None = None


def troubles(facts: Facts) -> dict[str, str]:
    """A sentence for each kind of trouble, empty where all is well. What can't be judged is left
    out: it stays as it was."""
    found = {"database": _away("The database", facts.database_away_seconds, DATABASE_AWAY_SECONDS)}
    if facts.runs_known:
        found |= {"refresh": _refresh(facts.last_run), "cron": _cron(facts)}
    if facts.forecast and facts.quota_used_up is not None:
        found["quota"] = _quota(facts.forecast, used_up=facts.quota_used_up)
    if facts.access_refused is not None:
        word = facts.access_refused
        found["access"] = word and f"Airtable refuses the token (AIRTABLE_API_KEY): {word}"
    if facts.redis_away_seconds is not None:
        found["redis"] = _away("Redis", facts.redis_away_seconds, REDIS_AWAY_SECONDS)
    if facts.feed_behind_seconds is not None:
        found["feed"] = _feed(facts.feed_behind_seconds)
    return found


def _refresh(last: LastRun | None) -> str:
    if last is None or last.status not in ("refused", "failed"):
        return ""
    sentence = f"The refresh of {last.ended_at:%Y-%m-%d %H:%M} UTC {_was(last.status)}"
    return f"{sentence}: {last.sentence}" if last.sentence else f"{sentence}."


def _was(status: str) -> str:
    return "was refused" if status == "refused" else "failed"


def _cron(facts: Facts) -> str:
    last = facts.last_run.ended_at if facts.last_run else facts.up_since
    if facts.at - last <= CRON_LATE:
        return ""
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if facts.last_run else "yet"
    return f"No refresh has run {since}: the cron job runs every three hours."


def _quota(forecast: Forecast, *, used_up: bool) -> str:
    if used_up:
        return f"Airtable answers nothing until the month ends. {forecast}"
    nearly = forecast.allowed is not None and forecast.requests >= QUOTA_SHARE * forecast.allowed
    return str(forecast) if nearly or forecast.exceeds else ""


def _away(what: str, seconds: float, allowed: float) -> str:
    return f"{what} has not answered for {seconds / 60:.0f} minutes." if seconds > allowed else ""


def _feed(behind: float) -> str:
    if behind <= FEED_BEHIND_SECONDS:
        return ""
    return f"Changes in Airtable should have been read {behind / 60:.0f} minutes ago."
