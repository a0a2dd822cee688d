"""Findings about the platforms, Redis, the database, the replicas, and numbers."""

from collections.abc import Iterator
from datetime import timedelta

from airtable_sync.monitoring.guidance import STEPS
from airtable_sync.redis_client.server_info import ServerInfo
from airtable_sync.refresh.other_deployments import REMEDY, description, with_another_mapping
from airtable_sync.status.display.units import ago, count
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.finding import Finding

STARTING = timedelta(minutes=1)  # a new process is out of sync for a moment
FREQUENT_CALLS = 3  # of an unknown number within a day


def platforms(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.platforms:
        step = "Set RETELL_API_KEY, or another platform's secret (docs/platforms.md)."
        sentence = "No platform's secret is set: every call gets a 404."
        yield Finding("bad", sentence, step, topic="platforms")


def redis(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.has_redis:
        yield Finding(
            "note",
            "There is no Redis: the database's newest snapshot is the shared copy, and is read "
            "again every 30 s. The page shows the counts of this process only.",
            "Set REDIS_URL to make edits live within seconds and to see the counts of all "
            "processes.",
            topic="no redis",
        )
    elif facts.redis is None:
        yield _redis_down(facts)
    elif facts.is_open("redis"):
        sentence = "Redis has errors; some processes have paused using it."
        step = "Check the Redis service's load and network."
        yield Finding("attention", sentence, step, topic="redis")


def _redis_down(facts: Facts) -> Finding:
    is_airtable_down = facts.is_open("airtable")
    services = "Redis and Airtable do not answer" if is_airtable_down else "Redis does not answer"
    cached = count(facts.process.known_numbers, "number")
    sentence = f"{services}: calls are answered from memory, which holds {cached}."
    is_bad = is_airtable_down or not facts.process.known_numbers
    return Finding("bad" if is_bad else "attention", sentence, STEPS["redis"], topic="redis")


def database(facts: Facts) -> Iterator[Finding]:
    if facts.database is None:
        sentence = "The database does not answer: runs are not recorded."
        yield Finding("attention", sentence, STEPS["database"], topic="database")


def cached_numbers(facts: Facts) -> Iterator[Finding]:
    cached, numbers = facts.cached_numbers, facts.published_numbers
    if facts.running_refresh or cached is None or not numbers or facts.is_redis_down:
        return
    if cached < numbers:
        sentence = f"{cached:,} of {count(numbers, 'number')} are cached."
        step = "Press “Refresh now”. If it happens again, check Redis' memory and eviction policy."
        yield Finding("attention", sentence, step)


def replicas(facts: Facts) -> Iterator[Finding]:
    processes = facts.redis.totals.processes if facts.redis else []
    out_of_sync = [
        each for each in processes if not each.in_sync and facts.at - each.started_at > STARTING
    ]
    if out_of_sync:
        which = ", ".join(f"{each.host} ({each.pid})" for each in out_of_sync[:3])
        total = count(len(processes), "process", "processes")
        verb = "is" if len(out_of_sync) == 1 else "are"
        sentence = f"{len(out_of_sync)} of {total} {verb} not up to date with Redis: {which}."
        step = "They serve what they have, and try again by themselves. If it lasts, restart them."
        yield Finding("attention", sentence, step, topic="replicas")


def other_deployments(facts: Facts) -> Iterator[Finding]:
    processes = facts.redis.totals.processes if facts.redis else []
    own = facts.setup.fingerprint
    if own and (others := with_another_mapping(processes, own)):
        sentence = f"{description(others)}."
        sentence += " Until that ends, refreshes are rejected."
        yield Finding("attention", sentence, REMEDY, topic="deployments")


def eviction(facts: Facts) -> Iterator[Finding]:
    server = facts.redis.server if facts.redis else ServerInfo()
    if not server.may_evict:
        return
    sentence = f"Redis removes keys when its memory is full: its policy is {server.policy}"
    if server.evicted_keys:
        sentence += f", and it has removed {count(server.evicted_keys, 'key')} since it started"
    step = "Set maxmemory-policy to noeviction. `manage.py check_cache` tells the memory it needs."
    yield Finding("attention", f"{sentence}.", step, topic="eviction")


def overrides(facts: Facts) -> Iterator[Finding]:
    active = facts.database.overrides if facts.database else []
    if active:
        first = min(active, key=lambda each: each.ends_at)
        total = count(len(active), "override")
        verb = "is" if len(active) == 1 else "are"
        end = f"the first, of {first.number}, ends {ago(first.ends_at, facts.at)}"
        yield Finding("note", f"{total} {verb} active; {end}.")


def records_to_fix(facts: Facts) -> Iterator[Finding]:
    found = facts.database.records_to_fix if facts.database else None
    if found and found.count:
        verb = "needs" if found.count == 1 else "need"
        sentence = f"{count(found.count, 'record')} in Airtable {verb} to be corrected."
        yield Finding("note", sentence, "See “Records to fix” below.")


def unknown_numbers(facts: Facts) -> Iterator[Finding]:
    called = facts.redis.unknown_numbers if facts.redis else []
    frequent = [
        each
        for each in called
        if each.calls >= FREQUENT_CALLS and facts.at - each.last_called_at < timedelta(days=1)
    ]
    if frequent:
        first = max(frequent, key=lambda each: each.calls)
        sentence = f"{first.number} was called {count(first.calls, 'time')} and is unknown."
        if others := len(frequent) - 1:
            were = "was" if others == 1 else "were"
            sentence += f" {count(others, 'other unknown number')} {were} called often too."
        step = "Look for it in Airtable: it is mistyped or missing there."
        yield Finding("attention", sentence, step, topic="unknown number")


def alerts(facts: Facts) -> Iterator[Finding]:
    if not facts.setup.has_alerts:
        sentence = "No alert is set up: a problem shows only on this page."
        yield Finding("note", sentence, "Set ALERT_URLS.", topic="alerts")
