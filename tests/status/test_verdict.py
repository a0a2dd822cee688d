"""The verdict: each problem has a sentence and a next step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airtable_sync.airtable.limits.monthly_usage import MonthlyUsage
from airtable_sync.cache.processes import Process
from airtable_sync.models import ChangeFeed, Override, Run, Snapshot
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumber
from airtable_sync.monitoring.export.airtable_status import AirtableStatus
from airtable_sync.monitoring.export.time_series import TimeSeries
from airtable_sync.monitoring.export.totals import Totals
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.redis_client.server_info import ServerInfo
from airtable_sync.status.buttons import buttons
from airtable_sync.status.health.facts import (
    DatabaseStatus,
    Facts,
    ProcessStatus,
    RedisStatus,
    Setup,
)
from airtable_sync.status.health.records_to_fix import RecordsToFix
from airtable_sync.status.health.verdict import Verdict, verdict

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
READ = NOW - timedelta(minutes=12)
CLOSED = {"airtable": "closed", "redis": "closed"}


OWN_MAPPING = "0123456789abcdef"


def run(status: str = "published", message: str = "", ago: timedelta | None = None) -> Run:
    started = NOW - (ago or timedelta(minutes=12))
    ended = None if status == "running" else started
    return Run(pk=7, status=status, message=message, started_at=started, ended_at=ended)


def process(**different: Any) -> Process:
    fields = {"version": "", "started_at": READ, "last_heartbeat_at": NOW, "entries": 1050}
    fields |= {"bytes": 9, "complete": True, "in_sync": True, "circuit_breakers": CLOSED}
    fields |= {"mapping": "siftly.toml", "fingerprint": OWN_MAPPING}
    return Process(**{"id": "a", "host": "web-1", "pid": 7, **fields, **different})


def redis(**different: Any) -> RedisStatus:
    """Takes the fields of `AirtableStatus`, `Totals` and `RedisStatus`."""
    airtable: dict[str, Any] = {"feed_read_at": int(NOW.timestamp() * 1000)}
    totals: dict[str, Any] = {
        "counts": Counts(),
        "usage": MonthlyUsage("2026-11", 10, 20),
        "index_entries": 1050,
        "numbers": 1050,
        "confirmed_at": READ.timestamp(),
        "unknown_numbers": 0,
        "processes": [process()],
        "last_runs": {},
    }
    status: dict[str, Any] = {
        "last_hour": Counts(),
        "time_series": TimeSeries("hour", timedelta(minutes=1), [], Counts()),
        "unknown_numbers": [],
        "latency_seconds": 0.001,
        "server": ServerInfo("Valkey", "9.1.2", 1, 0, "noeviction", 0),
        "is_refresh_locked": False,
        "blocked_seconds": 0.0,
        "last_failed_lookup_at": None,
    }
    for name, value in different.items():
        if name in status:
            status[name] = value
        else:
            (totals if name in totals else airtable)[name] = value
    totals["airtable"] = AirtableStatus(**airtable)
    return RedisStatus(totals=Totals(**totals), **status)


def database(**different: Any) -> DatabaseStatus:
    snapshot = Snapshot(pk=1, numbers=1050, confirmed_at=int(READ.timestamp() * 1000))
    status = DatabaseStatus(
        runs=[run()],
        snapshots=[snapshot],
        pausing_run=None,
        overrides=[],
        feed=ChangeFeed(webhook_id="ach1"),
        is_refresh_locked=False,
        expected_records={},
    )
    return replace(status, **different)


ROLLBACK = run("rolled-back", "Rolled back to the snapshot of run 1.")
HEALTHY = Facts(
    at=NOW,
    setup=Setup(plan="team", fingerprint=OWN_MAPPING),
    process=ProcessStatus(1050, 1050, True, True, int(READ.timestamp() * 1000), CLOSED),
    redis=redis(),
    database=database(),
)


def verdict_with(**different: Any) -> Verdict:
    return verdict(replace(HEALTHY, **different))


def test_a_redis_that_may_remove_entries_and_another_mapping_need_attention() -> None:
    server = ServerInfo("Redis", "8.0.1", 24_900_000, 25_000_000, "allkeys-lru", 5466)
    found = verdict_with(redis=redis(server=server))
    assert found.level == "attention"
    assert found.sentence == (
        "Redis removes keys when its memory is full: its policy is allkeys-lru, and it has removed "
        "5,466 keys since it started."
    )
    assert "noeviction" in found.step
    for harmless in ({"max_bytes": 0}, {"policy": "noeviction"}, {"policy": ""}):
        assert verdict_with(redis=redis(server=replace(server, **harmless))).level == "well"
    staging = process(host="staging-1", fingerprint="another", mapping="flat.toml")
    found = verdict_with(redis=redis(processes=[process(), staging]))
    assert found.level == "attention"
    assert "staging-1, process 7" in found.sentence
    assert "CACHE_NAMESPACE" in found.step
    unreadable = process(fingerprint="", mapping="gone.toml, which can't be used")
    assert verdict_with(redis=redis(processes=[process(), unreadable])).level == "well"


def test_all_is_well() -> None:
    found = verdict_with()
    assert (found.level, found.step, found.others) == ("well", "", ())
    assert found.sentence == (
        "All 1,050 numbers are cached; last refreshed 12 minutes ago; edits are live after the "
        "next refresh."
    )


def test_lookups_that_failed_are_a_note_when_none_has_failed_for_some_minutes() -> None:
    failed = NOW - timedelta(minutes=25)
    found = verdict_with(redis=redis(last_hour=FAILED_CALLS, last_failed_lookup_at=failed))
    assert found.level == "well"
    [note] = found.others
    assert note.level == "note"
    assert note.sentence == (
        "3 calls within the last hour could not be looked up in Airtable and got the defaults; "
        "none since 11:36 UTC (25 minutes ago)."
    )
    recently = NOW - timedelta(minutes=2)
    found = verdict_with(redis=redis(last_hour=FAILED_CALLS, last_failed_lookup_at=recently))
    assert found.level == "attention"


def test_with_the_change_feed_it_says_how_fast_edits_are_live() -> None:
    counts = Counts()
    for _ in range(10):
        counts.propagation.observe(0.9)
    setup = replace(HEALTHY.setup, changes="push", poll_seconds=300.0)
    assert "edits are live in about 1 s" in verdict_with(setup=setup).sentence
    assert (
        "edits are live in about 900 ms"
        in verdict_with(setup=setup, redis=redis(last_hour=counts)).sentence
    )
    setup = replace(HEALTHY.setup, changes="poll", poll_seconds=40.0)
    assert "edits are live in about 20.0 s" in verdict_with(setup=setup).sentence


PLATFORMS = replace(HEALTHY.setup, platforms=())
NO_TOKEN = replace(HEALTHY.setup, has_token=False)
FOLLOWS = replace(HEALTHY.setup, changes="push", poll_seconds=300.0)
OPEN = {**CLOSED, "airtable": "open"}
HOURS_AGO = NOW - timedelta(hours=7)
FAILED_CALLS = Counts()
FAILED_CALLS.tier_failures["airtable"] = 3
UNKNOWN = [UnknownNumber("+32460111111", 12, NOW), UnknownNumber("+32460222222", 2, NOW)]
MISSING_FIELD = "the mapping does not fit the base: customers has no field to_number."
FEED_BEHIND = redis(feed_read_at=int(NOW.timestamp() * 1000) - 2_000_000)

PROBLEMS: dict[str, tuple[dict[str, Any], str, str, str]] = {
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
        "AUTHENTICATION_REQUIRED. The cache still serves the 1,050 numbers of the last snapshot.",
        "Check AIRTABLE_API_KEY",
    ),
    "a missing field": (
        {"database": database(runs=[run("refused", MISSING_FIELD)])},
        "attention",
        "The last refresh was rejected: the mapping does not fit the base: customers has no field",
        "Restore the name of the field or table",
    ),
    "a set that shrank": (
        {"database": database(runs=[run("refused", "less than 60% (REFRESH_MIN_SHARE).")])},
        "attention",
        "The last refresh was rejected",
        "If the change is intended, publish it anyway",
    ),
    "a killed refresh": (
        {"database": database(runs=[run("failed", "It was killed.")])},
        "attention",
        "The last refresh failed: It was killed.",
        "more memory",
    ),
    "Redis down": (
        {"redis": None, "redis_error": "Redis: ConnectionError"},
        "attention",
        "Redis does not answer: calls are answered from memory, which holds 1,050 numbers.",
        "REDIS_URL",
    ),
    "Redis down, and nothing in memory": (
        {"redis": None, "process": ProcessStatus(circuit_breakers=CLOSED)},
        "bad",
        "Redis does not answer",
        "REDIS_URL",
    ),
    "Airtable down": (
        {"redis": redis(processes=[process(circuit_breakers=OPEN)])},
        "attention",
        "Airtable does not answer: known numbers are served from the cache",
        "status.airtable.com",
    ),
    "both down": (
        {"redis": None, "process": replace(HEALTHY.process, circuit_breakers=OPEN)},
        "bad",
        "Redis and Airtable do not answer: calls are answered from memory",
        "check_cache",
    ),
    "the database down": (
        {"database": None},
        "attention",
        "The database does not answer",
        "DATABASE_URL",
    ),
    "the quota is used up": (
        {"redis": redis(blocked_by="QuotaExceeded", blocked_seconds=9e5)},
        "bad",
        "The month's requests to Airtable are used up",
        "Choose a larger plan",
    ),
    "the quota will not last": (
        {"redis": redis(usage=MonthlyUsage("2026-11", 90_000, 123_000))},
        "attention",
        "will not last: 123,000 at this rate, and the team plan allows 100,000.",
        "send fewer requests",
    ),
    "too many requests": (
        {"redis": redis(blocked_by="RateLimited", blocked_seconds=21.0)},
        "attention",
        "Airtable got too many requests and answers again in 21 s.",
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
            "process": ProcessStatus(circuit_breakers=CLOSED),
            "database": database(runs=[], snapshots=[]),
        },
        "bad",
        "Airtable was never read",
        "Refresh now",
    ),
    "served stale": (
        {
            "redis": redis(confirmed_at=HOURS_AGO.timestamp()),
            "process": replace(HEALTHY.process, confirmed_at=0),
        },
        "attention",
        "No refresh has succeeded for 7 hours: answers are stale, and expire in 20 hours.",
        "Refresh now",
    ),
    "too old": (
        {
            "redis": redis(confirmed_at=(NOW - timedelta(days=3)).timestamp()),
            "process": replace(HEALTHY.process, confirmed_at=0),
        },
        "bad",
        "The cache is 3 days old: too old to be served.",
        "Refresh now",
    ),
    "numbers lost": (
        {"process": replace(HEALTHY.process, known_numbers=1000)},
        "attention",
        "1,000 of 1,050 numbers are cached.",
        "eviction",
    ),
    "a rollback": (
        {"redis": redis(paused=True), "database": database(pausing_run=ROLLBACK)},
        "attention",
        "Rolled back to run 1; edits in Airtable are not published.",
        "Release",
    ),
    "a replica out of sync": (
        {"redis": redis(processes=[process(), process(in_sync=False, pid=8)])},
        "attention",
        "1 of 2 processes is not up to date with Redis: web-1 (8).",
        "restart",
    ),
    "an unknown number": (
        {"redis": redis(unknown_numbers=UNKNOWN)},
        "attention",
        "+32460111111 was called 12 times and is unknown.",
        "mistyped",
    ),
    "lookups that failed": (
        {"redis": redis(last_hour=FAILED_CALLS)},
        "attention",
        "3 calls within the last hour could not be looked up in Airtable and got the defaults.",
        "log",
    ),
    "no webhook subscription": (
        {"setup": FOLLOWS, "database": database(feed=None)},
        "attention",
        "The change feed has no webhook subscription: edits are live after the next refresh.",
        "watch_airtable create",
    ),
    "the feed was stopped": (
        {"setup": FOLLOWS, "database": database(feed=ChangeFeed(stopped=True))},
        "attention",
        "The change feed was stopped",
        "watch_airtable create",
    ),
    "the feed is not read": (
        {"setup": FOLLOWS, "redis": FEED_BEHIND},
        "attention",
        "The change feed was not read for 33 minutes",
        "The change feed can't be read",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_has_a_sentence_and_a_next_step(name: str) -> None:
    different, level, sentence, step = PROBLEMS[name]
    found = verdict_with(**different)
    assert found.level == level
    assert sentence in found.sentence
    assert step in found.step


def test_the_most_serious_finding_comes_first_and_all_are_shown() -> None:
    found = verdict_with(
        setup=PLATFORMS,
        redis=redis(paused=True, blocked_by="QuotaExceeded"),
        database=database(runs=[run("failed", "Airtable can't be reached.")]),
    )
    assert found.level == "bad"
    assert [each.level for each in found.others] == ["bad", "attention", "attention"]


def test_an_override_is_a_note_and_no_problem() -> None:
    overrides = [Override(number="+32460234291", ends_at=NOW + timedelta(hours=4))]
    found = verdict_with(database=database(overrides=overrides))
    assert found.level == "well"
    (note,) = found.others
    assert note.sentence == "1 override is active; the first, of +32460234291, ends in 4 hours."


def test_without_redis_a_note_says_what_is_missing() -> None:
    found = verdict_with(setup=replace(HEALTHY.setup, has_redis=False), redis=None)
    assert found.level == "well"
    assert "There is no Redis" in found.others[0].sentence


def test_a_running_refresh_is_no_problem() -> None:
    running = [run("running", ago=timedelta(seconds=2)), run(ago=timedelta(hours=7))]
    facts = replace(
        HEALTHY,
        process=replace(HEALTHY.process, known_numbers=3),
        redis=redis(is_refresh_locked=True),
        database=database(runs=running),
    )
    assert verdict(facts).level == "well"
    assert facts.running_refresh is running[0]
    assert replace(facts, redis=redis()).running_refresh is None  # it was killed


def test_a_refresh_that_is_rejected_while_publishing_is_paused_is_one_finding() -> None:
    rejected = run("refused", "publishing is paused by a rollback since 2026-11-23 09:00 UTC")
    found = verdict_with(
        redis=redis(paused=True),
        database=database(runs=[rejected], pausing_run=ROLLBACK),
    )
    assert found.sentence.startswith("Rolled back to run 1; edits in Airtable are not published")
    assert found.others == ()


def test_after_a_release_all_is_well_only_when_a_refresh_has_succeeded() -> None:
    found = verdict_with(database=database(last_success=ROLLBACK))
    assert found.title == "Needs attention"
    assert found.sentence == "The rollback is released; agents still get what it published."
    assert verdict_with(database=database(last_success=run())).level == "well"


def test_records_to_fix_are_in_the_headline_and_the_state_stays_green() -> None:
    found = verdict_with(database=database(records_to_fix=RecordsToFix(run(), 1, [])))
    assert (found.level, found.title) == ("well", "All is well, 1 record to fix")
    assert "1 record in Airtable needs to be corrected." in [each.sentence for each in found.others]


ALL = {"refresh": True, "roll_back": True}
# State -> the buttons, the primary one first.
BUTTONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "well": ({}, ["refresh-now"]),
    "paused": ({"redis": redis(paused=True)}, ["release"]),
    "rejected": ({"database": database(runs=[run("refused")])}, ["review", "refresh-now"]),
    "failed": ({"database": database(runs=[run("failed")])}, ["check-connection", "refresh-now"]),
    "Redis down": ({"redis": None}, ["check-connection"]),
    "no token": ({"setup": Setup(has_token=False)}, ["check-connection"]),
}


@pytest.mark.parametrize("state", BUTTONS)
def test_the_first_button_helps_and_none_can_not_work(state: str) -> None:
    different, expected = BUTTONS[state]
    facts = replace(HEALTHY, **different)
    assert [each.id for each in buttons(facts, ALL)] == expected
    viewer = [each.id for each in buttons(facts, {"refresh": False, "roll_back": False})]
    assert viewer == [each for each in expected if each == "review"]
