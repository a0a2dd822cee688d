"""The text of each kind of alert. `health_rules.py` decides when there is a problem."""

from collections.abc import Callable

from airtable_sync.monitoring.health_rules import HealthFacts, Kind, problems, quota_problem

RESOLVED: dict[Kind, str] = {
    "refresh": "the last refresh succeeded",
    "cron": "a refresh has run again",
    "quota": "the month's requests to Airtable will last",
    "access": "Airtable accepts the token",
    "redis": "Redis answers again",
    "database": "the database answers again",
    "feed": "the change feed is read again",
}


def alert_messages(facts: HealthFacts) -> dict[Kind, str]:
    """Kind -> message, "" if there is no problem. A kind that can't be decided is left out: its
    incident stays as it was. The quota is left out while the forecast is close to the limit."""
    found = {
        kind: clean_text(_MESSAGES[kind](facts)) if is_problem else ""
        for kind, is_problem in problems(facts).items()
    }
    if found.get("quota") == "" and facts.forecast and facts.forecast.is_close:
        del found["quota"]
    return found


def clean_text(text: str) -> str:
    """Replaces characters that a database, an e-mail or a chat may not accept. A message may quote
    Airtable's error, which may have any."""
    lines = ("".join(map(_clean_character, line)) for line in text.splitlines())
    return "\n".join(lines)


def _clean_character(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "?"


def _refresh(facts: HealthFacts) -> str:
    last = facts.last_run
    if last is None:
        return ""
    what = "was rejected" if last.status == "refused" else "failed"
    text = f"The refresh of {last.ended_at:%Y-%m-%d %H:%M} UTC {what}"
    return f"{text}: {last.message}" if last.message else f"{text}."


def _cron(facts: HealthFacts) -> str:
    last = facts.last_run
    since = f"since {last.ended_at:%Y-%m-%d %H:%M} UTC" if last else "yet"
    return f"No refresh has run {since}. The cron job should run every three hours."


def _quota(facts: HealthFacts) -> str:
    forecast = str(facts.forecast) if facts.forecast else ""
    if quota_problem(facts) == "runs out":
        return forecast
    exceeded = "Airtable answers no requests until the month ends: the plan's quota is used up."
    return f"{exceeded} {forecast}".rstrip()


def _access(facts: HealthFacts) -> str:
    return f"Airtable rejects the token (AIRTABLE_API_KEY): {facts.access_denied}"


def _down(what: str, seconds: float | None) -> str:
    return f"{what} has not answered for {(seconds or 0) / 60:.0f} minutes."


def _feed(facts: HealthFacts) -> str:
    minutes = (facts.feed_behind_seconds or 0) / 60
    return f"The change feed should have been read {minutes:.0f} minutes ago."


_MESSAGES: dict[Kind, Callable[[HealthFacts], str]] = {
    "refresh": _refresh,
    "cron": _cron,
    "quota": _quota,
    "access": _access,
    "redis": lambda facts: _down("Redis", facts.redis_down_seconds),
    "database": lambda facts: _down("The database", facts.database_down_seconds),
    "feed": _feed,
}
