"""What can be wrong at Airtable: the token, the month's requests, the change feed, an outage."""

from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.pace import MARGIN_SECONDS
from airtable_sync.status.facts import Facts
from airtable_sync.status.finding import Finding
from airtable_sync.status.words import ago, count, lasting


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


def quota(facts: Facts) -> Iterator[Finding]:
    if facts.redis is None:
        return
    month, allowed = facts.redis.state.month, facts.allowed
    if facts.redis.blocked_by == "QuotaExceeded":
        sentence = "The month's requests to Airtable are used up: only what is cached is served."
        step = "Raise the plan, then run `manage.py check_cache`; or wait for the month to end."
        yield Finding("bad", sentence, step)
    elif allowed and month.forecast > allowed:
        sentence = (
            f"The month's requests to Airtable will not last: {month.forecast:,} at this rate, and "
            f"the {facts.setup.plan} plan allows {allowed:,}."
        )
        step = "Raise the plan, or ask less often (AIRTABLE_POLL_SECONDS, the cron job's schedule)."
        yield Finding("attention", sentence, step)


def rate_limit(facts: Facts) -> Iterator[Finding]:
    if facts.redis and facts.redis.blocked_by == "RateLimited":
        seconds = facts.redis.blocked_seconds
        sentence = f"Airtable was asked too often and answers again in {seconds:.0f} s."
        step = "Look for other tools that use this base: Siftly itself keeps to five a second."
        yield Finding("attention", sentence, step)


def feed(facts: Facts) -> Iterator[Finding]:
    if facts.setup.changes == "off" or not facts.redis or not facts.database:
        return
    read = facts.database.feed
    if read is None or not read.hook:
        step = "Run `manage.py watch_airtable create`; it says what is missing."
        stopped = read is not None and read.stopped
        sentence = "The change feed was stopped" if stopped else "The change feed has no hook"
        yield Finding("attention", f"{sentence}: edits are live after the next refresh.", step)
        return
    behind = facts.at.timestamp() - facts.redis.drained_at / 1000
    if behind > 2 * facts.setup.poll_seconds + MARGIN_SECONDS and not facts.redis.held:
        was = f"not read for {lasting(behind)}" if facts.redis.drained_at else "never read"
        sentence = f"The change feed was {was}: edits are live after the next refresh."
        yield Finding("attention", sentence, "Look at the log for “The change feed can't be read”.")
    elif read.troubled_at and facts.at - read.troubled_at < timedelta(hours=1) and read.trouble:
        sentence = f"The change feed had trouble {ago(read.troubled_at, facts.at)}: {read.trouble}"
        yield Finding("note", sentence)


CHECKS = (token, outage, failed_lookups, quota, rate_limit, feed)
