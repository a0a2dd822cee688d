"""The replica: a process's in-memory copy of all cache entries. A cache hit needs no network, and
calls are answered while Redis is down. `replica_subscription.py` calls `sync` from one thread."""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from airtable_sync.cache.entry import Entry, entry_from_bytes
from airtable_sync.cache.number_set import NumberSet
from airtable_sync.cache.redis_store import RedisStore, ReplicaState, Watched
from airtable_sync.cache.replica_entries import CLOCK_TOLERANCE_MS, ReplicaEntry
from airtable_sync.cache.replica_refill import ReplicaRefill
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

CLOCK_COMPARISONS = 120  # every so many comparisons the clock is compared too: every hour …
CLOCK_JUMP_SECONDS = 1.0  # … and as soon as this machine's clock has jumped


class Replica(ReplicaRefill):
    def __init__(self, store: RedisStore, max_bytes: int) -> None:
        super().__init__(store, max_bytes)
        self.sequence = 0
        self._epoch = ""  # of the Redis that this is a copy of
        self._watched: Watched | None = None  # before the last comparison by time
        self._short_comparisons = 0  # since the last whole one
        self._clock_base = _clock_base()
        self._listeners: list[Callable[[Collection[str]], None]] = []
        self._on_restored: Callable[[], None] = lambda: None
        self._was_restored = False  # at the last comparison

    def on_change(self, listener: Callable[[Collection[str]], None]) -> None:
        """Call `listener` with the numbers that changed, in the thread that runs `sync`."""
        self._listeners.append(listener)

    def on_restored(self, action: Callable[[], None]) -> None:
        """Call `action` at each comparison that finds an older Redis, in the thread that runs
        `sync`. It must not wait."""
        self._on_restored = action

    def start_from_snapshot(self, entries: Iterable[Entry]) -> None:
        """Serve a snapshot until Redis has newer entries. It counts as stale: calls renew it."""
        stale = self.now() - int(self.lifetimes.ttl_seconds * 1000)
        for entry in entries:
            self.keep(replace(entry, read_at=min(entry.read_at, stale)), saved=False)

    def replace_with_snapshot(
        self, entries: Iterable[Entry], confirmed_at: int, *, saved: bool
    ) -> None:
        """Take the complete set, which Airtable had until `confirmed_at` (ms): none of the
        entries is older. Newer entries stay."""
        numbers = set()
        for entry in entries:
            numbers.add(entry.number)
            self.keep(entry, saved=saved)
        with self._write_lock:
            for number, found in list(self._entries.items()):
                if number not in numbers and found.is_known and found.read_at < confirmed_at:
                    self._remove(number)
        self.confirmed_at = confirmed_at
        self._notify_listeners(numbers)

    # --- Keeping in sync: one thread -------------------------------------------------------------

    def lacks(self, epoch: str, sequence: int) -> bool:
        """Whether this change is newer than the last comparison."""
        return epoch != self._epoch or sequence > self.sequence

    def sync(self, *, reload: bool = False) -> None:
        """Read what changed since the last comparison; everything after another epoch, or with
        `reload`. Raises CacheUnavailable; then the replica is out of sync."""
        try:
            self._sync("" if reload else self._epoch)
        except CacheUnavailable:
            self.in_sync = False
            raise
        self.in_sync = True

    def sync_if_changed(self) -> None:
        """The same, with one command if nothing has changed: where commands are billed, most of
        them would be these."""
        try:
            watched = self.store.watched()
        except CacheUnavailable:
            self.in_sync = False
            raise
        is_known = self._watched is not None and watched[:3] == self._watched[:3]
        if not is_known or not self._may_skip(watched):
            self.sync()
            self._watched, self._short_comparisons = watched, 0
            return
        self._short_comparisons += 1
        self.confirmed_at = max(self.confirmed_at, watched.confirmed_at)
        self.in_sync_until = watched.in_sync_until

    def _may_skip(self, watched: Watched) -> bool:
        return (
            self.in_sync
            and self.complete  # otherwise entries that calls added have to be read again
            and not self._unsaved
            and self._short_comparisons < CLOCK_COMPARISONS
            and abs(_clock_base() - self._clock_base) < CLOCK_JUMP_SECONDS
            and self.confirmed_at <= watched.confirmed_at <= self.now() + CLOCK_TOLERANCE_MS
        )

    def _sync(self, epoch: str) -> None:
        state = self.store.replica_state(epoch, self.sequence)
        self._same_epoch = state.epoch == self._epoch
        self._clock_offset = state.now - int(time.time() * 1000)
        self._clock_base = _clock_base()
        if self.confirmed_at > state.now + CLOCK_TOLERANCE_MS:  # Redis' clock was ahead
            self.confirmed_at = 0
        is_restored = self._is_restored(state)
        if is_restored:
            if not self._was_restored:
                logger.warning("Redis is older than this process's entries: it was restored")
            self._on_restored()
        self._was_restored = is_restored
        # Before the entries: with a rolled-back set, a number that is missing need not be unknown.
        self.paused = self.paused or state.paused
        self.in_sync_until = min(self.in_sync_until, state.in_sync_until)
        if state.lists_all_numbers:
            self._load_all(state, is_restored=is_restored)
        else:
            self._load_changes(state)
        self._epoch, self.sequence = state.epoch, state.sequence
        self.paused = state.paused
        self.in_sync_until, self.numbers_in_airtable = state.in_sync_until, state.numbers
        self.confirmed_at = max(self.confirmed_at, state.confirmed_at)
        self._refill_redis()

    def _is_restored(self, state: ReplicaState) -> bool:
        """Redis is an older copy of itself: a backup, or a replica of Redis that lagged. An emptied
        Redis has no `confirmed_at`."""
        return 0 < state.confirmed_at < self.confirmed_at - CLOCK_TOLERANCE_MS

    def is_outdated(self, entry: Entry) -> bool:
        """Whether an entry of Redis is older than what this process knows to be complete: Airtable
        has removed the number since."""
        return (
            self.complete
            and entry.is_known
            and entry.number not in self._entries
            and entry.override_until <= self.now()
            and entry.read_at < self.confirmed_at
        )

    def _load_changes(self, state: ReplicaState) -> None:
        wanted = state.changed
        if not self.complete:
            with self._write_lock:
                reread, self._reread = self._reread, set()
            wanted = [number for number in wanted if number in self._entries] + sorted(reread)
        if self._existing is None and not self.complete:  # it has outgrown its memory
            self._existing = self._all_existing(state)
        elif self._existing is not None:
            for number, exists in self.store.are_known(state.changed):
                self._existing.set(number, exists=exists)
        missing = [n for n, raw in self.store.read_raw(wanted) if not self._load(n, raw)]
        self._notify_listeners(state.changed)
        self._handle_missing(missing, state)

    def _load_all(self, state: ReplicaState, *, is_restored: bool) -> None:
        """Entries that are here already come first: they must be right even if not all fit."""
        indexed, missing = set(state.changed), []
        was_complete = self.complete
        order = sorted(state.changed, key=lambda number: number not in self._entries)
        self._handle_lost([each for each in list(self._entries) if each not in indexed], state)
        self.complete = True
        for number, raw in self.store.read_raw(order):
            if was_complete and is_restored and number not in self._entries:
                continue  # it was removed after the backup was made
            if not self._has_room_for(raw) and number not in self._entries:
                self.complete = False  # the others are loaded when they are called
                break
            if not self._load(number, raw):
                missing.append(number)
        self._existing = None if self.complete else self._all_existing(state)
        self._notify_listeners(state.changed)
        self._handle_missing(missing, state)

    def _all_existing(self, state: ReplicaState) -> NumberSet | None:
        """None if Redis has lost the set of known numbers."""
        return NumberSet(self.store.known_numbers()) if state.numbers else None

    def _handle_missing(self, numbers: list[str], state: ReplicaState) -> None:
        """Numbers that are in the index and have no entry. Raises CacheUnavailable if Redis was
        emptied between the two readings: then neither is reliable."""
        missing = [number for number in numbers if number in self._entries]
        if missing and self.store.replica_state(state.epoch, state.sequence).lists_all_numbers:
            raise CacheUnavailable("Redis was emptied while it was read.")
        self._handle_lost(missing, state)

    def _handle_lost(self, numbers: list[str], state: ReplicaState) -> None:
        """Entries that Redis lost are written back, unless they have expired, or a refresh has
        completed since the last comparison: then Airtable does not have them any more."""
        with self._write_lock:
            for number, found in [(n, self._entries[n]) for n in numbers if n in self._entries]:
                confirmed_at = max(found.read_at, self.confirmed_at)
                if found.override_until > self.now():  # whatever Airtable has
                    self._unsaved.add(number)
                    continue
                was_removed = found.is_known and confirmed_at < state.confirmed_at
                if was_removed or self._is_expired(found, confirmed_at):
                    self._remove(number)
                    continue
                if found.is_known and found.read_at < state.confirmed_at:
                    self._confirm(number, found, confirmed_at)
                self._unsaved.add(number)

    def _is_expired(self, found: ReplicaEntry, confirmed_at: int) -> bool:
        read_at = max(found.read_at, found.override_until)
        return self.lifetimes.is_reading_expired(
            read_at, self.now(), confirmed_at, is_known=found.is_known
        )

    def _confirm(self, number: str, found: ReplicaEntry, read_at: int) -> None:
        """A full refresh had this number: Redis would reject an entry that is older than that."""
        if entry := entry_from_bytes(number, found.raw):
            confirmed = replace(entry, read_at=read_at)
            self._put(number, ReplicaEntry.of(confirmed, confirmed.to_bytes()))

    def _notify_listeners(self, numbers: Collection[str]) -> None:
        if numbers:
            for listener in self._listeners:
                listener(numbers)


def _clock_base() -> float:
    """Constant until this machine's clock is set."""
    return time.time() - time.monotonic()
