"""The replica: this process's copy of all entries, so that a hit needs no network and an outage of
Redis is no event. Calls read it without a lock; one thread of `subscription` keeps it in step."""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from django.conf import settings

from airtable_sync.cache.entry import Entry, from_bytes
from airtable_sync.cache.redis_store import (
    ENTRIES_PER_REQUEST,
    REFRESH_LOCK,
    REPLICA,
    CacheUnavailable,
    State,
    Store,
)
from airtable_sync.cache.replica_entries import ReplicaEntries, ReplicaEntry, replica_entry_of

logger = logging.getLogger(__name__)

REFILL_LEASE, REFILL_LEASE_SECONDS = "refill_lease", 30


class Replica(ReplicaEntries):
    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.sequence = 0
        self._epoch = ""  # which life of Redis this is a copy of
        self._same_life = False  # Redis has lost nothing since the last look
        self._again: set[str] = set()  # came in beside the changes, and may be outdated already
        self._listeners: list[Callable[[Collection[str]], None]] = []

    # --- what was learned elsewhere in this process ----------------------------------------------

    def keep(self, entry: Entry, *, saved: bool) -> None:
        """Take an entry that a call brought in; `saved` unless Redis could not be told of it."""
        raw = entry.to_bytes()
        with self._writing:
            if self._put(entry.number, replica_entry_of(entry, raw)) and not saved:
                self._unsaved.add(entry.number)
            if not self.complete:
                self._again.add(entry.number)

    def on_change(self, listener: Callable[[Collection[str]], None]) -> None:
        """Be told, in the thread that keeps the replica in step, which numbers changed."""
        self._listeners.append(listener)

    def start_from(self, entries: Iterable[Entry], confirmed_at: int) -> None:
        """Take an older set, until Redis says better: served at once, and renewed as stale."""
        stale = self.now() - settings.CACHE_TTL_SECONDS * 1000
        for entry in entries:
            read_at = min(max(entry.read_at, confirmed_at), stale)
            self.keep(replace(entry, read_at=read_at), saved=False)

    def take_set(self, entries: Iterable[Entry], read_at: int) -> None:
        """Take all there was at `read_at`, where the database is the copy that processes share."""
        numbers = set()
        for entry in entries:
            numbers.add(entry.number)
            self.keep(entry, saved=True)
        with self._writing:
            for number, held in list(self._held.items()):
                if number not in numbers and held.known and held.read_at < read_at:
                    self._drop(number)
        self._tell(numbers)

    def forget(self, numbers: Collection[str]) -> None:
        """Forget these entries, which are served no longer."""
        with self._writing:
            for number in numbers:
                self._drop(number)

    # --- keeping in step: in one thread ----------------------------------------------------------

    def lacks(self, epoch: str, sequence: int) -> bool:
        """Whether this change is not among those that were seen."""
        return epoch != self._epoch or sequence > self.sequence

    def sync(self, *, whole: bool = False) -> None:
        """Read what changed since the last time; everything, if this is another Redis than then, or
        `whole`. Raises CacheUnavailable, and is in step no more then."""
        try:
            self._sync("" if whole else self._epoch)
        except CacheUnavailable:
            self.in_sync = False
            raise
        self.in_sync = True

    def _sync(self, epoch: str) -> None:
        state = self.store.state(epoch, self.sequence)
        self._same_life = state.epoch == self._epoch
        self._clock_offset = state.now - int(time.time() * 1000)
        if state.whole:
            self._take_everything(state)
        else:
            self._take_changes(state)
        self._epoch, self.sequence = state.epoch, state.sequence
        self.on_hold = state.held
        self.in_sync_until, self.numbers_in_airtable = state.in_sync_until, state.numbers
        self.confirmed_at = max(self.confirmed_at, state.confirmed_at)
        self._save_unsaved()

    def _take_changes(self, state: State) -> None:
        wanted = state.changed
        if not self.complete:
            with self._writing:
                again, self._again = self._again, set()
            wanted = [number for number in wanted if number in self._held] + sorted(again)
        missing = [n for n, raw in self.store.read_raw(wanted) if not self._take(n, raw)]
        self._tell(state.changed)
        self._miss(missing, state)

    def _take_everything(self, state: State) -> None:
        """Load all; first what is held, which has to be right also where not all has room."""
        there, missing = set(state.changed), []
        order = sorted(state.changed, key=lambda number: number not in self._held)
        self._lose([each for each in list(self._held) if each not in there], state)
        self.complete = True
        for number, raw in self.store.read_raw(order):
            if self._is_full_with(raw) and number not in self._held:
                self.complete = False  # the others come when they are called for
                break
            if not self._take(number, raw):
                missing.append(number)
        self._tell(state.changed)
        self._miss(missing, state)

    def _miss(self, numbers: list[str], state: State) -> None:
        """Numbers that the index had and that have no entry. Raises CacheUnavailable if Redis was
        emptied between the one reading and the other: then neither says anything."""
        missed = [number for number in numbers if number in self._held]
        if missed and self.store.state(state.epoch, state.sequence).whole:
            raise CacheUnavailable("Redis was emptied while it was read.")
        self._lose(missed, state)

    def _lose(self, numbers: list[str], state: State) -> None:
        """What Redis does not have it has lost, and gets back; unless its life is over, or all of
        Airtable was read since we were in step: then it is Airtable that has it no more."""
        with self._writing:
            for number, held in [(n, self._held[n]) for n in numbers if n in self._held]:
                confirmed_at = max(held.read_at, self.confirmed_at)
                if held.override_until > self.now():  # Airtable has no say in it
                    self._unsaved.add(number)
                    continue
                is_gone = held.known and confirmed_at < state.confirmed_at
                if is_gone or held.is_expired(self.now(), confirmed_at):
                    self._drop(number)
                    continue
                if held.known and held.read_at < state.confirmed_at:
                    self._confirm(number, held, confirmed_at)
                self._unsaved.add(number)

    def _confirm(self, number: str, held: ReplicaEntry, at: int) -> None:
        """A reading of everything had it: Redis would not take it back as older than that."""
        if entry := from_bytes(number, held.raw):
            confirmed = replace(entry, read_at=at)
            self._put(number, replica_entry_of(confirmed, confirmed.to_bytes()))

    def _take(self, number: str, raw: bytes | None) -> bool:
        """Whether there is an entry to take."""
        entry = from_bytes(number, raw) if raw else None
        if not entry or not raw:
            return False
        with self._writing:
            self._end_pin(entry)
            if self._put(number, replica_entry_of(entry, raw)):
                self._unsaved.discard(number)
        return True

    def _end_pin(self, entry: Entry) -> None:
        """A pin that Redis has not any more, and did not lose, was ended by an operator."""
        before = self._held.get(entry.number)
        if not before or not self._same_life or entry.number in self._unsaved:
            return
        if before.override_until > self.now() >= entry.override_until:
            self._drop(entry.number)

    def _tell(self, numbers: Collection[str]) -> None:
        if numbers:
            for listener in self._listeners:
                listener(numbers)

    # --- giving back what Redis lost -------------------------------------------------------------

    def _save_unsaved(self) -> None:
        """Newer readings win, so any process may do this, and only one of them need do it."""
        with self._writing:
            numbers = set(self._unsaved)
        if not numbers:
            return
        try:
            saved = self._save(list(numbers))
        except CacheUnavailable as error:  # full, or read-only: that makes nothing here outdated
            logger.debug("Redis does not take %d entries: %s", len(numbers), error)
            return
        if saved:
            logger.info("Gave %d entries back to Redis, which did not have them", saved)

    def _save(self, numbers: list[str]) -> int:
        """Not while a refresh publishes: what it removes must not come back behind its back."""
        token = f"{id(self)}:{time.time()}"
        if self.store.is_held(REFRESH_LOCK):
            return 0
        if not self.store.add(REFILL_LEASE, token, REFILL_LEASE_SECONDS):
            return 0
        try:
            for start in range(0, len(numbers), ENTRIES_PER_REQUEST):
                self._save_some(numbers[start : start + ENTRIES_PER_REQUEST])
        finally:
            self.store.release(REFILL_LEASE, token)
        return len(numbers)

    def _save_some(self, numbers: list[str]) -> None:
        entries = [entry for number in numbers if (entry := self.get(number))]
        # A reading of this process's own clock, when Redis was away, is not from the future.
        now = self.now()
        stamped = [replace(each, read_at=min(each.read_at, now)) for each in entries]
        outcomes = self.store.write(stamped, announce_unchanged=False)
        with self._writing:
            self._unsaved.difference_update(each.number for each in entries if self._is_held(each))
        refused = [each for each in entries if outcomes[each.number] == "older"]
        self._take_instead(refused)

    def _take_instead(self, refused: list[Entry]) -> None:
        """Redis has newer readings, or a rollback that holds: they are right."""
        found = dict(self.store.read_raw(each.number for each in refused))
        for entry in refused:
            with self._writing:
                if self._is_held(entry):
                    self._drop(entry.number)
            self._take(entry.number, found[entry.number])

    def _is_held(self, entry: Entry) -> bool:
        held = self._held.get(entry.number)
        return held is None or held.read_at == entry.read_at


def of_this_process() -> Replica:
    return _REPLICA


_REPLICA = Replica(REPLICA)
