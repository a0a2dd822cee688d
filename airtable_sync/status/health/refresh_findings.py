"""Findings about refreshes: the cache's age, the last run, the cron job, a rollback."""

import re
from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.models import Run
from airtable_sync.monitoring.health_rules import (
    LastRun,
    has_refresh_failed,
    is_cache_too_old,
    is_cron_overdue,
)
from airtable_sync.status.display.units import ago, count, long_duration
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.facts_for_rules import facts_for_rules
from airtable_sync.status.health.finding import Finding

MESSAGE_SHOWN = 300  # characters
_ROLLED_BACK_TO = re.compile(r"snapshot of run (\d+)")  # as `refresh/rollback.py` writes it


def cache_age(facts: Facts) -> Iterator[Finding]:
    age, ttl = facts.age, timedelta(seconds=facts.setup.ttl_seconds)
    step = "Press “Refresh now”."
    if age is None:
        if not facts.is_redis_down:
            sentence = "Airtable was never read: the first call of each number needs a lookup."
            yield Finding("bad", sentence, step)
    elif age > facts.setup.lifetime:
        sentence = f"The cache is {long_duration(age)} old: too old to be served."
        yield Finding("bad", sentence, step)
    elif is_cache_too_old(age, ttl):
        sentence = (
            f"No refresh has succeeded for {long_duration(age)}: answers are stale, and expire in "
            f"{long_duration(facts.setup.lifetime - age)}."
        )
        yield Finding("attention", sentence, step)


def last_run(facts: Facts) -> Iterator[Finding]:
    found = facts_for_rules(facts)
    last = found.last_run
    if last is None or not has_refresh_failed(found):
        return  # for a refresh that was rejected while publishing is paused, see `rollback`
    result = "was rejected" if last.status == Run.Status.REFUSED else "failed"
    reason = f": {last.message[:MESSAGE_SHOWN].rstrip('. ')}" if last.message else ""
    sentence = f"The last refresh {result}{reason}."
    if numbers := facts.numbers_in_airtable:
        sentence += f" The cache still serves the {count(numbers, 'number')} of the last snapshot."
    yield Finding("attention", sentence, _step_after(last), "refresh")


def cron(facts: Facts) -> Iterator[Finding]:
    found = facts_for_rules(facts)
    if is_cron_overdue(found):
        last = found.last_run
        ended = (
            f"the last refresh ended {ago(last.ended_at, facts.at)}"
            if last
            else "there is no run yet"
        )
        sentence = f"The cron job has not run: {ended}."
        step = "Check the cron job of refresh_airtable_cache. Press “Refresh now” meanwhile."
        yield Finding("attention", sentence, step, "cron")


def rollback(facts: Facts) -> Iterator[Finding]:
    if not facts.is_paused:
        yield from _released(facts)
        return
    run = facts.database.pausing_run if facts.database else None
    sentence = f"{_rolled_back(run)}; edits in Airtable are not published."
    yield Finding("attention", sentence, "Press “Release” when Airtable is correct again.")


def _released(facts: Facts) -> Iterator[Finding]:
    """Agents get what the rollback published until a refresh has succeeded."""
    last = facts.database.last_success if facts.database else None
    if last and last.status == Run.Status.ROLLED_BACK:
        sentence = "The rollback is released; agents still get what it published."
        step = "Press “Refresh now”." if not facts.running_refresh else "Wait for the refresh."
        yield Finding("attention", sentence, step)


def _rolled_back(run: Run | None) -> str:
    """The run's message names the run that it went back to."""
    match = _ROLLED_BACK_TO.search(run.message) if run else None
    return f"Rolled back to run {match[1]}" if match else "Rolled back"


# A part of a run's message, and what to do then. The first match counts. The messages are in
# `airtable/errors.py`, `airtable/rate_limiter.py`, `refresh/validation.py`, `refresh/history.py`.
_STEPS = (
    (" 401 ", "Check AIRTABLE_API_KEY: the token is wrong, expired or revoked."),
    (" 403 ", "Check the token's scopes and its access to AIRTABLE_BASE_ID."),
    (" VIEW_", "Check the name of the view in the mapping."),
    ("a filter of [", "Correct the filter in the mapping. The message has Airtable's reason."),
    ("NOT_FOUND", "Check AIRTABLE_BASE_ID, and that the token has access to the base."),
    (
        "does not fit the base",
        "Restore the name of the field or table in Airtable, or change the mapping.",
    ),
    ("no record has", "Check in Airtable whether the field was deleted or is only empty."),
    ("while the base was read", "Press “Refresh now” when the fields have their names again."),
    ("REFRESH_", "Press “Review”. If the change is intended, publish it anyway."),
    ("no number in Airtable", "Check the numbers' table in Airtable: was it emptied or renamed?"),
    (
        "used up",
        "Choose a larger plan, or wait for the month to end. Then run `manage.py check_cache`.",
    ),
    ("BILLING_LIMIT", "Choose a larger Airtable plan, or wait for the month to end."),
    ("did not answer", "Look at status.airtable.com. The next refresh tries again."),
    ("can't be reached", "Check the network and AIRTABLE_API_URL. The next refresh tries again."),
    (
        "killed",
        "Press “Refresh now”. If it is killed again, give the job more memory or time.",
    ),
    ("Redis", "Check the Redis service, then press “Refresh now”."),
)


def _step_after(run: LastRun) -> str:
    matching = (step for text, step in _STEPS if text in run.message)
    return next(matching, "Open the run for details, then press “Refresh now”.")
