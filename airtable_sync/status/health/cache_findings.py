"""What can be wrong on our side: the platforms, Redis, the database, the set, holds."""

from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.models import Run
from airtable_sync.monitoring.health_rules import LastRun, cron_is_late, is_old, refresh_has_failed
from airtable_sync.status.display.units import ago, count, lasting
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.facts_for_rules import known_of
from airtable_sync.status.health.finding import Finding

STARTING = timedelta(minutes=1)  # a process says that it is in step a little later
OFTEN = 3  # calls of an unknown number within a day


def platforms(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.platforms:
        step = "Set RETELL_API_KEY, or another platform's secret (docs/platforms.md)."
        yield Finding("bad", "No platform's secret is set: every call gets a 404.", step)


def redis(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.redis:
        yield Finding(
            "note",
            "There is no Redis: the database's last good set is the shared copy, re-read every "
            "30 s; answers are counted for this process only.",
            "Set REDIS_URL for edits that are live at once and for figures of all processes.",
        )
    elif facts.redis is None:
        held = count(facts.here.known, "number")
        airtable_too = facts.is_open("airtable")
        sentence = "Redis and Airtable do not answer" if airtable_too else "Redis does not answer"
        memory = f": calls are answered from memory, which holds {held}."
        step = "Look at the Redis service, then at REDIS_URL; `manage.py check_cache` tries it."
        is_bad = airtable_too or not facts.here.known
        yield Finding("bad" if is_bad else "attention", sentence + memory, step)
    elif facts.is_open("redis"):
        step = "Look at the Redis service's load and network."
        yield Finding("attention", "Redis failed some processes, which leave it alone.", step)


def database(facts: Facts) -> Iterator[Finding]:
    if facts.database is None:
        step = "Look at the database service, then at DATABASE_URL."
        yield Finding("attention", "The database does not answer: runs are not recorded.", step)


def the_set(facts: Facts) -> Iterator[Finding]:
    """Everything that is cached, and how old it is."""
    age, fresh = facts.age, timedelta(seconds=facts.setup.ttl_seconds)
    press = "Press “Refresh now”."
    if age is None:
        if not facts.redis_away:
            sentence = "Airtable was never read: each number's first call has to ask it."
            yield Finding("bad", sentence, press)
    elif age > fresh + timedelta(seconds=facts.setup.stale_seconds):
        sentence = f"What is cached is {lasting(age)} old: too old to be served."
        yield Finding("bad", sentence, press)
    elif is_old(age, fresh):
        sentence = (
            f"No refresh has succeeded for {lasting(age)}: answers are served stale, and end in "
            f"{lasting(fresh + timedelta(seconds=facts.setup.stale_seconds) - age)}."
        )
        yield Finding("attention", sentence, press)


def cron(facts: Facts) -> Iterator[Finding]:
    known = known_of(facts)
    if cron_is_late(known):
        last = known.last_run
        ended = f"the last refresh ended {ago(last.ended_at, facts.at)}" if last else "never yet"
        step = "Look at the cron job of refresh_airtable_cache; meanwhile press “Refresh now”."
        yield Finding("attention", f"The cron job has not run: {ended}.", step, "cron")


def numbers(facts: Facts) -> Iterator[Finding]:
    if facts.running or facts.cached is None or not facts.numbers or facts.redis_away:
        return
    if facts.cached < facts.numbers:
        sentence = f"{facts.cached:,} of {count(facts.numbers, 'number')} are cached."
        step = "Press “Refresh now”; if it comes back, look at Redis' eviction policy and memory."
        yield Finding("attention", sentence, step)


def replicas(facts: Facts) -> Iterator[Finding]:
    processes = facts.redis.state.processes if facts.redis else []
    settled = [each for each in processes if facts.at - each.started_at > STARTING]
    behind = [each for each in settled if not each.in_sync]
    if behind:
        who = ", ".join(f"{each.host} ({each.pid})" for each in behind[:3])
        there = count(len(processes), "process", "processes")
        sentence = f"{len(behind)} of {there} out of step with Redis: {who}."
        step = "They serve what they have, and try again by themselves; if it lasts, restart them."
        yield Finding("attention", sentence, step)


def rollback(facts: Facts) -> Iterator[Finding]:
    held = (facts.redis is not None and facts.redis.held) or (
        facts.database is not None and facts.database.holding is not None
    )
    if not held:
        return
    run = facts.database.holding if facts.database else None
    since = f" for {lasting(facts.at - run.started_at)}" if run else ""
    sentence = f"A rollback has held{since}: edits in Airtable are not live."
    yield Finding("attention", sentence, "Press “Release” when Airtable is right again.")


def pins(facts: Facts) -> Iterator[Finding]:
    active = facts.database.pins if facts.database else []
    if active:
        first = min(active, key=lambda each: each.ends_at)
        pinned = "1 number is" if len(active) == 1 else f"{len(active):,} numbers are"
        sentence = (
            f"{pinned} pinned by hand; the first pin, of {first.number}, ends "
            f"{ago(first.ends_at, facts.at)}."
        )
        yield Finding("note", sentence)


def unknown(facts: Facts) -> Iterator[Finding]:
    called = facts.redis.unknown if facts.redis else []
    often = [
        each
        for each in called
        if each.times >= OFTEN and facts.at - each.last_called_at < timedelta(days=1)
    ]
    if often:
        worst = max(often, key=lambda each: each.times)
        sentence = f"{worst.number} was called {count(worst.times, 'time')} and is not known."
        if len(often) > 1:
            sentence = f"{sentence[:-1]}; so were {count(len(often) - 1, 'other number')}."
        step = "Look for it in Airtable: it is mistyped or missing there."
        yield Finding("attention", sentence, step)


def last_run(facts: Facts) -> Iterator[Finding]:
    known = known_of(facts)
    last = known.last_run
    if last is None or not refresh_has_failed(known):
        return  # a refresh that a rollback holds is told with the rollback
    what = "was refused" if last.status == Run.Status.REFUSED else "failed"
    why = f": {last.sentence[:300].rstrip('. ')}" if last.sentence else ""
    numbers = facts.numbers
    kept = f" The {count(numbers, 'number')} of the last good set stay served." if numbers else ""
    sentence = f"The last refresh {what}{why}.{kept}"
    yield Finding("attention", sentence, _step_after(last), "refresh")


# What a sentence says, and what to do about it. The first that fits.
_STEPS = (
    (" 401 ", "Check AIRTABLE_API_KEY: the token is wrong, expired or was revoked."),
    (" 403 ", "Check the token's scopes and its access to AIRTABLE_BASE_ID."),
    ("NOT_FOUND", "Check AIRTABLE_BASE_ID, and that the token has access to the base."),
    (
        "does not fit the base",
        "Give the field or table its name back in Airtable, or change the mapping.",
    ),
    ("no record has", "Look in Airtable whether the field is gone or only empty."),
    ("REFRESH_", "Look at the run: if the change is meant, refresh with --force."),
    ("no number in Airtable", "Look at the numbers' table in Airtable: was it emptied or renamed?"),
    ("used up", "Raise the plan, or wait for the month to end; then `manage.py check_cache`."),
    ("BILLING_LIMIT", "Raise the Airtable plan, or wait for the month to end."),
    ("did not answer", "Look at status.airtable.com; the next refresh tries again."),
    ("can't be reached", "Look at the network and AIRTABLE_API_URL; the next refresh tries again."),
    ("killed", "Press “Refresh now”; if it is killed again, give the job more memory or time."),
    ("Redis", "Look at the Redis service, then press “Refresh now”."),
)  # fmt: skip


def _step_after(run: LastRun) -> str:
    fitting = (step for text, step in _STEPS if text in run.sentence)
    return next(fitting, "Open the run for details, then press “Refresh now”.")


CHECKS = (
    platforms, redis, database, the_set, last_run, cron, numbers, rollback, replicas, unknown, pins,
)  # fmt: skip
