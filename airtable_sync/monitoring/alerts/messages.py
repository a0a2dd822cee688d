"""What is said of each kind of trouble, and when it is over. What is one is for `health_rules`."""

from collections.abc import Callable

from airtable_sync.monitoring.health_rules import Kind, Known, judged, quota

OVER: dict[Kind, str] = {
    "refresh": "the last refresh succeeded",
    "cron": "a refresh has run again",
    "quota": "the month's requests to Airtable will last",
    "access": "Airtable accepts the token",
    "redis": "Redis answers again",
    "database": "the database answers again",
    "feed": "changes in Airtable are read again",
}


def troubles(known: Known) -> dict[Kind, str]:
    """A sentence for each kind of trouble, empty where all is well. What can't be judged is left
    out: it stays as it was. So does the quota while its forecast is close to the plan."""
    found = {
        kind: _SENTENCES[kind](known) if trouble else "" for kind, trouble in judged(known).items()
    }
    if found.get("quota") == "" and known.forecast and known.forecast.is_close:
        del found["quota"]
    return found


def _refresh(known: Known) -> str:
    last = known.last_run
    if last is None:
        return ""
    was = "was refused" if last.status == "refused" else "failed"
    sentence = f"The refresh of {last.ended_at:%Y-%m-%d %H:%M} UTC {was}"
    return f"{sentence}: {last.sentence}" if last.sentence else f"{sentence}."


def _cron(known: Known) -> str:
    last = known.last_run
    since = f"since {last.ended_at:%Y-%m-%d %H:%M} UTC" if last else "yet"
    return f"No refresh has run {since}: the cron job runs every three hours."


def _quota(known: Known) -> str:
    counted = str(known.forecast) if known.forecast else ""
    if quota(known) == "runs out":
        return counted
    used_up = "Airtable answers nothing until the month ends: the plan's requests are used up."
    return f"{used_up} {counted}".rstrip()


def _access(known: Known) -> str:
    return f"Airtable refuses the token (AIRTABLE_API_KEY): {known.access_denied}"


def _away(what: str, seconds: float | None) -> str:
    return f"{what} has not answered for {(seconds or 0) / 60:.0f} minutes."


def _feed(known: Known) -> str:
    behind = (known.feed_behind_seconds or 0) / 60
    return f"Changes in Airtable should have been read {behind:.0f} minutes ago."


_SENTENCES: dict[Kind, Callable[[Known], str]] = {
    "refresh": _refresh,
    "cron": _cron,
    "quota": _quota,
    "access": _access,
    "redis": lambda known: _away("Redis", known.redis_away_seconds),
    "database": lambda known: _away("The database", known.database_away_seconds),
    "feed": _feed,
}
