"""What can be wrong at Airtable: the token, the month's requests, the change feed, an outage."""

from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.airtable.quota import Forecast
from airtable_sync.monitoring import health_rules
from airtable_sync.status.display.units import ago, count, lasting
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.facts_for_rules import known_of
from airtable_sync.status.health.finding import Finding


def token(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.airtable:
        sentence = "Airtable can't be asked: AIRTABLE_API_KEY or AIRTABLE_BASE_ID is not set."
        yield Finding("bad", sentence, "Set both, then press “Refresh now”.")


def outage(facts: Facts) -> Iterator[Finding]:
    if facts.is_open("airtable") and not facts.redis_away:  # else it is told with Redis' outage
        sentence = (
            "Airtable does not answer: known numbers are served from the cache, unknown ones get "
            "the defaults."
        )
        yield Finding(
            "attention", sentence, "Look at status.airtable.com; Siftly tries it by itself."
        )


def failed_lookups(facts: Facts) -> Iterator[Finding]:
    failed = facts.redis.hour.failed["airtable"] if facts.redis else 0
    if failed and not facts.is_open("airtable"):
        sentence = (
            f"{count(failed, 'call')} within the last hour could not be looked up in Airtable and "
            "got the defaults."
        )
        yield Finding(
            "attention", sentence, "Look at the service's log for “Airtable can't be asked”."
        )


def refused(facts: Facts) -> Iterator[Finding]:
    if word := known_of(facts).access_denied:
        sentence = f"Airtable refuses the token (AIRTABLE_API_KEY): {word.rstrip('. ')}."
        step = "Make a new token with the README's scopes, set it, then `manage.py check_cache`."
        yield Finding("attention", sentence, step, "access")


def quota(facts: Facts) -> Iterator[Finding]:
    known = known_of(facts)
    word, forecast = health_rules.quota(known), known.forecast
    if word == "used up":
        sentence = "The month's requests to Airtable are used up: only what is cached is served."
        step = "Raise the plan, then run `manage.py check_cache`; or wait for the month to end."
        yield Finding("bad", sentence, step, "quota")
    elif word == "runs out" and forecast and forecast.allowed:
        step = "Raise the plan, or ask less often (AIRTABLE_POLL_SECONDS, the cron job's schedule)."
        yield Finding("attention", _runs_out(forecast, facts.setup.plan), step, "quota")


def _runs_out(forecast: Forecast, plan: str) -> str:
    if forecast.exceeds:
        return (
            f"The month's requests to Airtable will not last: {forecast.at_month_end:,} at this "
            f"rate, and the {plan} plan allows {forecast.allowed:,}."
        )
    return (
        f"The month's requests to Airtable run out: {forecast.requests:,} of the "
        f"{forecast.allowed:,} of the {plan} plan are used."
    )


def rate_limit(facts: Facts) -> Iterator[Finding]:
    if facts.redis and facts.redis.blocked_by == "RateLimited":
        seconds = facts.redis.blocked_seconds
        sentence = f"Airtable was asked too often and answers again in {seconds:.0f} s."
        step = "Look for other tools that use this base: Siftly itself keeps to five a second."
        yield Finding("attention", sentence, step)


def feed(facts: Facts) -> Iterator[Finding]:
    if facts.setup.changes == "off" or not facts.redis or not facts.database:
        return
    read, is_behind = facts.database.feed, health_rules.feed_is_behind(known_of(facts))
    live = "edits are live after the next refresh."
    if read is None or not read.hook:
        step = "Run `manage.py watch_airtable create`; it says what is missing."
        stopped = read is not None and read.stopped
        sentence = "The change feed was stopped" if stopped else "The change feed has no hook"
        yield Finding("attention", f"{sentence}: {live}", step, "feed" if is_behind else None)
        return
    if is_behind:
        read_at = max(facts.redis.feed_read_at, read.feed_read_at) / 1000
        since = lasting(facts.at.timestamp() - read_at)
        was = f"not read for {since}" if read_at else "never read"
        step = "Look at the log for “The change feed can't be read”."
        yield Finding("attention", f"The change feed was {was}: {live}", step, "feed")
    elif read.last_error_at and facts.at - read.last_error_at < timedelta(hours=1) and read.trouble:
        sentence = (
            f"The change feed had trouble {ago(read.last_error_at, facts.at)}: {read.trouble}"
        )
        yield Finding("note", sentence)


CHECKS = (token, refused, outage, failed_lookups, quota, rate_limit, feed)
