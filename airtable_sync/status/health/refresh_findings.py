"""Findings about refreshes: the cache's age, the last run, the cron job, a rollback."""

import re
from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.models import Run
from airtable_sync.monitoring.guidance import STEPS, Topic, step_after
from airtable_sync.monitoring.health_rules import (
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
    if numbers := facts.published_numbers:
        sentence += f" The cache still serves the {count(numbers, 'number')} of the last snapshot."
    topic: Topic = "rejected" if last.status == Run.Status.REFUSED else "refresh"
    yield Finding("attention", sentence, step_after(last), "refresh", topic)


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
        yield Finding("attention", sentence, STEPS["cron"], "cron")


def rollback(facts: Facts) -> Iterator[Finding]:
    if not facts.is_paused:
        yield from _released(facts)
        return
    run = facts.database.pausing_run if facts.database else None
    sentence = f"{_rolled_back(run)}; edits in Airtable are not published."
    step = "Press “Release” when Airtable is correct again."
    yield Finding("attention", sentence, step, topic="rollback")


def _released(facts: Facts) -> Iterator[Finding]:
    """Agents get what the rollback published until a refresh has succeeded."""
    last = facts.database.last_success if facts.database else None
    if last and last.status == Run.Status.ROLLED_BACK:
        sentence = "The rollback is released; agents still get what it published."
        step = "Press “Refresh now”." if not facts.running_refresh else "Wait for the refresh."
        yield Finding("attention", sentence, step, topic="rollback")


def _rolled_back(run: Run | None) -> str:
    """The run's message names the run that it went back to."""
    match = _ROLLED_BACK_TO.search(run.message) if run else None
    return f"Rolled back to run {match[1]}" if match else "Rolled back"
