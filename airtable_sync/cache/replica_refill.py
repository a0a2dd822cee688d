"""The entries of a replica that Redis has, too: adding them, and writing back what Redis lost."""

import logging
import secrets
from collections.abc import Collection
from dataclasses import replace

from airtable_sync.cache.chunks import chunks
from airtable_sync.cache.entry import Entry, entry_from_bytes
from airtable_sync.cache.keys import REFILL_LOCK, REFRESH_LOCK
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica_entries import ReplicaEntries, ReplicaEntry
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

REFILL_LOCK_SECONDS = 30


class ReplicaRefill(ReplicaEntries):
    def __init__(self, store: RedisStore, max_bytes: int) -> None:
        super().__init__(store.lifetimes, max_bytes)
        self.store = store
        self._same_epoch = False  # Redis has lost nothing since the last comparison
        self._reread: set[str] = set()  # added by calls; Redis may have newer ones by now

    def keep(self, entry: Entry, *, saved: bool) -> None:
        """Add an entry; `saved` unless Redis could not be written."""
        raw = entry.to_bytes()
        with self._write_lock:
            if self._put(entry.number, ReplicaEntry.of(entry, raw)) and not saved:
                self._unsaved.add(entry.number)
            if not self.complete:
                self._reread.add(entry.number)

    def forget(self, numbers: Collection[str]) -> None:
        with self._write_lock:
            for number in numbers:
                self._remove(number)

    def _load(self, number: str, raw: bytes | None) -> bool:
        """False if there is no valid entry in these bytes."""
        entry = entry_from_bytes(number, raw) if raw else None
        if not entry or not raw:
            return False
        with self._write_lock:
            self._end_override(entry)
            if self._put(number, ReplicaEntry.of(entry, raw)):
                self._unsaved.discard(number)
        return True

    def _end_override(self, entry: Entry) -> None:
        """If Redis has no override any more and lost nothing, an operator has ended it."""
        before = self._entries.get(entry.number)
        if not before or not self._same_epoch or entry.number in self._unsaved:
            return
        if before.override_until > self.now() >= entry.override_until:
            self._remove(entry.number)

    def _refill_redis(self) -> None:
        """Any process may do this, since newer readings win. One of them is enough."""
        with self._write_lock:
            numbers = sorted(self._unsaved)
        if not numbers:
            return
        try:
            saved = self._save(numbers)
        except CacheUnavailable as error:  # full, or read-only: the replica stays valid
            logger.debug("Redis does not accept %d entries: %s", len(numbers), error)
            return
        if saved:
            logger.info("Wrote %d entries to Redis, which lacked them", saved)

    def _save(self, numbers: list[str]) -> int:
        """Not while a refresh publishes: a number that it removes must not come back."""
        token = secrets.token_hex(8)
        if self.store.exists(REFRESH_LOCK):
            return 0
        if not self.store.acquire_lease(REFILL_LOCK, token, REFILL_LOCK_SECONDS):
            return 0
        try:
            for chunk in chunks(numbers):
                self._save_chunk(chunk)
        finally:
            self.store.release_lease(REFILL_LOCK, token)
        return len(numbers)

    def _save_chunk(self, numbers: list[str]) -> None:
        entries = [entry for number in numbers if (entry := self.get(number))]
        # A reading by this machine's clock, made while Redis was down, may lie in the future.
        now = self.now()
        stamped = [replace(each, read_at=min(each.read_at, now)) for each in entries]
        outcomes = self.store.write(stamped, announce_unchanged=False)
        with self._write_lock:
            self._unsaved.difference_update(e.number for e in entries if self._is_unchanged(e))
        if older := [each for each in entries if outcomes[each.number] == "older"]:
            self._replace_older(older)

    def _replace_older(self, older: list[Entry]) -> None:
        """Redis has newer entries, or a paused rollback: take those. Where it has none, a refresh
        was completed after the reading and did not have the number."""
        found = dict(self.store.read_raw(each.number for each in older))
        refreshed_at = self.store.refreshed_at()
        for entry in older:
            if found[entry.number] is None and entry.read_at >= refreshed_at:
                continue  # lost again since: keep what is here
            with self._write_lock:
                if self._is_unchanged(entry):
                    self._remove(entry.number)
            self._load(entry.number, found[entry.number])

    def _is_unchanged(self, entry: Entry) -> bool:
        found = self._entries.get(entry.number)
        return found is None or found.read_at == entry.read_at
