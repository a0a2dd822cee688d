"""Findings about Airtable: the token, the monthly quota, the change feed, an outage."""

from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.airtable.errors import RateLimited
from airtable_sync.airtable.limits.quota import QuotaForecast
from airtable_sync.models import ChangeFeed
from airtable_sync.monitoring.guidance import QUOTA_EXCEEDED, STEPS
from airtable_sync.monitoring.health_rules import Kind, is_feed_behind, quota_problem
from airtable_sync.status.display.units import ago, count, long_duration
from airtable_sync.status.health.facts import Facts, RedisStatus
from airtable_sync.status.health.facts_for_rules import facts_for_rules
from airtable_sync.status.health.finding import Finding

NEXT_REFRESH = "edits are live after the next refresh."
ERROR_SHOWN_FOR = timedelta(hours=1)
LOOKUPS_FAIL_FOR = timedelta(minutes=5)  # after the last one that failed


def token(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.has_token:
        sentence = "Airtable can't be asked: AIRTABLE_API_KEY or AIRTABLE_BASE_ID is not set."
        yield Finding("bad", sentence, "Set both, then press “Refresh now”.")


def access(facts: Facts) -> Iterator[Finding]:
    if message := facts_for_rules(facts).access_denied:
        sentence = f"Airtable rejects the token (AIRTABLE_API_KEY): {message.rstrip('. ')}."
        yield Finding("attention", sentence, STEPS["access"], "access")


def outage(facts: Facts) -> Iterator[Finding]:
    if facts.is_open("airtable") and not facts.is_redis_down:  # then see `cache_findings`
        sentence = (
            "Airtable does not answer: known numbers are served from the cache, unknown ones get "
            "the defaults."
        )
        step = "Look at status.airtable.com. Siftly tries again by itself."
        yield Finding("attention", sentence, step)


def failed_lookups(facts: Facts) -> Iterator[Finding]:
    failed, last = facts.failed_lookups, facts.redis and facts.redis.last_failed_lookup_at
    if not failed or facts.is_open("airtable"):
        return
    sentence = (
        f"{count(failed, 'call')} within the last hour could not be looked up in Airtable and got "
        "the defaults"
    )
    if last and facts.at - last > LOOKUPS_FAIL_FOR:
        since = f"none since {last + timedelta(minutes=1):%H:%M} UTC ({ago(last, facts.at)})"
        yield Finding("note", f"{sentence}; {since}.", topic="lookups")
        return
    step = "Search the service's log for “Airtable can't be asked”."
    yield Finding("attention", f"{sentence}.", step, topic="lookups")


def quota(facts: Facts) -> Iterator[Finding]:
    found = facts_for_rules(facts)
    problem, forecast = quota_problem(found), found.forecast
    if problem == "exceeded":
        sentence = "The month's requests to Airtable are used up: only cached numbers are served."
        yield Finding("bad", sentence, QUOTA_EXCEEDED, "quota")
    elif problem == "runs out" and forecast and forecast.limit:
        yield Finding("attention", _runs_out(forecast), STEPS["quota"], "quota")


def _runs_out(forecast: QuotaForecast) -> str:
    if forecast.exceeds:
        return (
            f"The month's requests to Airtable will not last: {forecast.at_month_end:,} at this "
            f"rate, and the {forecast.plan} plan allows {forecast.limit:,}."
        )
    return (
        f"The month's requests to Airtable run out: {forecast.requests:,} of the "
        f"{forecast.limit:,} of the {forecast.plan} plan are used."
    )


def rate_limit(facts: Facts) -> Iterator[Finding]:
    if facts.redis and facts.redis.airtable.blocked_by == RateLimited.__name__:
        seconds = facts.redis.blocked_seconds
        sentence = f"Airtable got too many requests and answers again in {seconds:.0f} s."
        step = "Look for other tools that use this base: Siftly sends at most five per second."
        yield Finding("attention", sentence, step, topic="rate limit")


def change_feed(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.follows_changes or not facts.redis or not facts.database:
        return
    feed, is_behind = facts.database.feed, is_feed_behind(facts_for_rules(facts))
    kind: Kind | None = "feed" if is_behind else None
    if feed is None or not feed.webhook_id:
        state = "was stopped" if feed and feed.stopped else "has no webhook subscription"
        step = "Run `manage.py watch_airtable create`; it reports what is missing."
        sentence = f"The change feed {state}: {NEXT_REFRESH}"
        yield Finding("attention", sentence, step, kind, "feed")
    elif is_behind:
        yield _feed_behind(facts, facts.redis, feed)
    elif feed.last_error and feed.last_error_at and facts.at - feed.last_error_at < ERROR_SHOWN_FOR:
        when = ago(feed.last_error_at, facts.at)
        yield Finding("note", f"The change feed had an error {when}: {feed.last_error}")


def _feed_behind(facts: Facts, redis: RedisStatus, feed: ChangeFeed) -> Finding:
    read_at = max(redis.feed_read_at, feed.read_at / 1000)
    duration = long_duration(facts.at.timestamp() - read_at)
    state = f"not read for {duration}" if read_at else "never read"
    sentence = f"The change feed was {state}: {NEXT_REFRESH}"
    return Finding("attention", sentence, STEPS["feed"], "feed")
