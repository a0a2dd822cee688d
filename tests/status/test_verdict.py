"""Is it well? Every kind of sick has a sentence and a next step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airtable_sync.airtable import rate_limiter
from airtable_sync.models import ChangeFeed, Override, Run, Snapshot
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumber
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.processes import Process
from airtable_sync.monitoring.metrics.time_series import History
from airtable_sync.monitoring.metrics.totals import State
from airtable_sync.status.health.facts import DatabaseFacts, Facts, Here, RedisFacts, Setup
from airtable_sync.status.health.verdict import Verdict, verdict

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
READ = NOW - timedelta(minutes=12)
CLOSED = {"airtable": "closed", "redis": "closed"}


def run(status: str = "published", sentence: str = "", ago: timedelta | None = None) -> Run:
    started = NOW - (ago or timedelta(minutes=12))
    ended = None if status == "running" else started
    return Run(pk=7, status=status, sentence=sentence, started_at=started, ended_at=ended)


def process(**different: Any) -> Process:
    fields = {"version": "", "started_at": READ, "heard_at": NOW, "entries": 1050, "bytes": 9}
    fields |= {"complete": True, "in_sync": True, "breakers": CLOSED}
    return Process(**{"id": "a", "host": "web-1", "pid": 7, **fields, **different})


def redis(**different: Any) -> RedisFacts:
    state = State(
        counts=Counts(),
        month=rate_limiter.Month("2026-11", 10, 20),
        indexed=1050,
        numbers=1050,
        confirmed_at=READ.timestamp(),
        unknown=0,
        processes=[process()],
        runs={},
    )
    facts = RedisFacts(
        state=state,
        hour=Counts(),
        history=History("hour", timedelta(minutes=1), [], Counts()),
        unknown=[],
        latency_seconds=0.001,
        memory_bytes=1,
        max_memory_bytes=0,
        held=False,
        refresh_lock_taken=False,
        feed_read_at=int(NOW.timestamp() * 1000),
        blocked_by="",
        blocked_seconds=0.0,
    )
    of_state = ("confirmed_at", "month", "numbers", "processes")
    inner = {name: value for name, value in different.items() if name in of_state}
    outer = {name: value for name, value in different.items() if name not in inner}
    return replace(facts, state=replace(state, **inner), **outer)


def database(**different: Any) -> DatabaseFacts:
    kept = Snapshot(pk=1, numbers=1050, confirmed_at=int(READ.timestamp() * 1000))
    facts = DatabaseFacts(
        runs=[run()],
        sets={7: kept},
        holding=None,
        pins=[],
        feed=ChangeFeed(hook="ach1"),
        lease=False,
        expected={},
    )
    return replace(facts, **different)


WELL = Facts(
    at=NOW,
    setup=Setup(plan="team"),
    here=Here(1050, 1050, True, True, int(READ.timestamp() * 1000), CLOSED),
    redis=redis(),
    database=database(),
)


def of(**different: Any) -> Verdict:
    return verdict(replace(WELL, **different))


def test_all_is_well() -> None:
    said = of()
    assert (said.level, said.step, said.others) == ("well", "", ())
    assert said.sentence == (
        "All 1,050 numbers are cached; last refreshed 12 minutes ago; edits are live after the "
        "next refresh."
    )


def test_with_the_change_feed_it_tells_how_fast_edits_are_live() -> None:
    counts = Counts()
    for _ in range(10):
        counts.propagation.observe(0.9)
    setup = replace(WELL.setup, changes="push", poll_seconds=300.0)
    assert "edits are live in about 1 s" in of(setup=setup).sentence
    assert "edits are live in about 750 ms" in of(setup=setup, redis=redis(hour=counts)).sentence
    setup = replace(WELL.setup, changes="poll", poll_seconds=40.0)
    assert "edits are live in about 20.0 s" in of(setup=setup).sentence


PLATFORMS = replace(WELL.setup, platforms=())
NO_TOKEN = replace(WELL.setup, airtable=False)
FOLLOWS = replace(WELL.setup, changes="push", poll_seconds=300.0)
OPEN = {**CLOSED, "airtable": "open"}
HOURS_AGO = NOW - timedelta(hours=7)
FAILED_CALLS = Counts()
FAILED_CALLS.failed["airtable"] = 3
CALLED_IN_VAIN = [UnknownNumber("+32460111111", 12, NOW), UnknownNumber("+32460222222", 2, NOW)]
UNFIT = "the mapping does not fit the base: customers has no field to_number."
LATE = redis(feed_read_at=int(NOW.timestamp() * 1000) - 2_000_000)

SICK: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no platform": (
        {"setup": PLATFORMS},
        "bad",
        "No platform's secret is set: every call gets a 404.",
        "Set RETELL_API_KEY",
    ),
    "no token": ({"setup": NO_TOKEN}, "bad", "Airtable can't be asked", "Set both"),
    "a wrong token": (
        {
            "database": database(
                runs=[run("failed", "Airtable answered 401 AUTHENTICATION_REQUIRED")]
            )
        },
        "attention",
        "AUTHENTICATION_REQUIRED. The 1,050 numbers of the last good set stay served.",
        "Check AIRTABLE_API_KEY",
    ),
    "a missing field": (
        {"database": database(runs=[run("refused", UNFIT)])},
        "attention",
        "The last refresh was refused: the mapping does not fit the base: customers has no field",
        "Give the field or table its name back",
    ),
    "a set that shrank": (
        {"database": database(runs=[run("refused", "less than 60% (REFRESH_MIN_SHARE).")])},
        "attention",
        "The last refresh was refused",
        "if the change is meant, refresh with --force",
    ),
    "a killed refresh": (
        {"database": database(runs=[run("failed", "It was killed.")])},
        "attention",
        "The last refresh failed: It was killed.",
        "more memory",
    ),
    "Redis away": (
        {"redis": None, "redis_trouble": "Redis: ConnectionError"},
        "attention",
        "Redis does not answer: calls are answered from memory, which holds 1,050 numbers.",
        "REDIS_URL",
    ),
    "Redis away, and nothing in memory": (
        {"redis": None, "here": Here(breakers=CLOSED)},
        "bad",
        "Redis does not answer",
        "REDIS_URL",
    ),
    "Airtable away": (
        {"redis": redis(processes=[process(breakers=OPEN)])},
        "attention",
        "Airtable does not answer: known numbers are served from the cache",
        "status.airtable.com",
    ),
    "both away": (
        {"redis": None, "here": replace(WELL.here, breakers=OPEN)},
        "bad",
        "Redis and Airtable do not answer: calls are answered from memory",
        "check_cache",
    ),
    "the database away": (
        {"database": None},
        "attention",
        "The database does not answer",
        "DATABASE_URL",
    ),
    "the quota spent": (
        {"redis": redis(blocked_by="QuotaExceeded", blocked_seconds=9e5)},
        "bad",
        "The month's requests to Airtable are used up",
        "Raise the plan",
    ),
    "the quota will not last": (
        {"redis": redis(month=rate_limiter.Month("2026-11", 90_000, 123_000))},
        "attention",
        "will not last: 123,000 at this rate, and the team plan allows 100,000.",
        "ask less often",
    ),
    "too many requests": (
        {"redis": redis(blocked_by="RateLimited", blocked_seconds=21.0)},
        "attention",
        "Airtable was asked too often and answers again in 21 s.",
        "other tools",
    ),
    "cron has not run": (
        {"database": database(runs=[run(ago=timedelta(hours=7))])},
        "attention",
        "The cron job has not run: the last refresh ended 7 hours ago.",
        "Refresh now",
    ),
    "nothing was ever read": (
        {
            "redis": redis(confirmed_at=0.0, numbers=None),
            "here": Here(breakers=CLOSED),
            "database": database(runs=[], sets={}),
        },
        "bad",
        "Airtable was never read",
        "Refresh now",
    ),
    "served stale": (
        {
            "redis": redis(confirmed_at=HOURS_AGO.timestamp()),
            "here": replace(WELL.here, confirmed_at=0),
        },
        "attention",
        "No refresh has succeeded for 7 hours: answers are served stale, and end in 20 hours.",
        "Refresh now",
    ),
    "too old": (
        {
            "redis": redis(confirmed_at=(NOW - timedelta(days=3)).timestamp()),
            "here": replace(WELL.here, confirmed_at=0),
        },
        "bad",
        "What is cached is 3 days old: too old to be served.",
        "Refresh now",
    ),
    "numbers lost": (
        {"here": replace(WELL.here, known=1000)},
        "attention",
        "1,000 of 1,050 numbers are cached.",
        "eviction",
    ),
    "a rollback": (
        {"redis": redis(held=True), "database": database(holding=run("rolled-back"))},
        "attention",
        "A rollback has held for 12 minutes: edits in Airtable are not live.",
        "Release",
    ),
    "a replica out of step": (
        {"redis": redis(processes=[process(), process(in_sync=False, pid=8)])},
        "attention",
        "1 of 2 processes out of step with Redis: web-1 (8).",
        "restart",
    ),
    "called in vain": (
        {"redis": redis(unknown=CALLED_IN_VAIN)},
        "attention",
        "+32460111111 was called 12 times and is not known.",
        "mistyped",
    ),
    "lookups that failed": (
        {"redis": redis(hour=FAILED_CALLS)},
        "attention",
        "3 calls within the last hour could not be looked up in Airtable and got the defaults.",
        "log",
    ),
    "no hook": (
        {"setup": FOLLOWS, "database": database(feed=None)},
        "attention",
        "The change feed has no hook: edits are live after the next refresh.",
        "watch_airtable create",
    ),
    "the feed was stopped": (
        {"setup": FOLLOWS, "database": database(feed=ChangeFeed(stopped=True))},
        "attention",
        "The change feed was stopped",
        "watch_airtable create",
    ),
    "the feed is not read": (
        {"setup": FOLLOWS, "redis": LATE},
        "attention",
        "The change feed was not read for 33 minutes",
        "The change feed can't be read",
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_what_is_wrong_is_said_with_what_to_do(name: str) -> None:
    different, level, sentence, step = SICK[name]
    said = of(**different)
    assert said.level == level
    assert sentence in said.sentence
    assert step in said.step


def test_the_gravest_comes_first_and_nothing_is_left_out() -> None:
    said = of(
        setup=PLATFORMS,
        redis=redis(held=True, blocked_by="QuotaExceeded"),
        database=database(runs=[run("failed", "Airtable can't be reached.")]),
    )
    assert said.level == "bad"
    assert [each.level for each in said.others] == ["bad", "attention", "attention"]


def test_a_pin_is_told_and_is_no_trouble() -> None:
    pins = [Override(number="+32460234291", ends_at=NOW + timedelta(hours=4))]
    said = of(database=database(pins=pins))
    assert said.level == "well"
    (note,) = said.others
    assert note.sentence == (
        "1 number is pinned by hand; the first pin, of +32460234291, ends in 4 hours."
    )


def test_without_a_redis_it_says_what_that_means() -> None:
    said = of(setup=replace(WELL.setup, redis=False), redis=None)
    assert said.level == "well"
    assert "There is no Redis" in said.others[0].sentence


def test_a_refresh_that_runs_is_no_trouble() -> None:
    running = [run("running", ago=timedelta(seconds=2)), run(ago=timedelta(hours=7))]
    facts = replace(
        WELL,
        here=replace(WELL.here, known=3),
        redis=redis(refresh_lock_taken=True),
        database=database(runs=running),
    )
    assert verdict(facts).level == "well"
    assert facts.running is running[0]
    assert replace(facts, redis=redis()).running is None  # it was killed


def test_a_held_refresh_is_not_told_twice() -> None:
    refused = run("refused", "a rollback holds since 2026-11-23 09:00 UTC")
    said = of(redis=redis(held=True), database=database(runs=[refused], holding=run("rolled-back")))
    assert said.sentence.startswith("A rollback has held")
    assert said.others == ()
