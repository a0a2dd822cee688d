"""The entries of a replica, and how calls read them. `replica.py` keeps them in sync with Redis."""

import re
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from airtable_sync.cache.entry import Entry, decode_entry_cached
from airtable_sync.cache.lifetimes import Lifetimes
from airtable_sync.cache.number_set import NumberSet

# What Python needs for an entry beside its bytes: the key, the object, its place in a dictionary.
OVERHEAD_BYTES = 400
CLOCK_TOLERANCE_MS = 5000


@dataclass(frozen=True, slots=True)
class ReplicaEntry:
    """An entry's bytes in Redis, and the values that decide between two of them."""

    raw: bytes
    read_at: int
    is_known: bool
    override_until: int = 0

    @classmethod
    def of(cls, entry: Entry, raw: bytes) -> "ReplicaEntry":
        return cls(raw, entry.read_at, entry.is_known, entry.override_until)

    @property
    def is_override(self) -> bool:
        return self.is_known and self.override_until > 0

    @property
    def size(self) -> int:
        return len(self.raw) + OVERHEAD_BYTES

    def is_superseded_by(self, other: "ReplicaEntry", now: int) -> bool:
        """The rules of `publish.lua`: an active override wins, then the newer reading."""
        if (self.override_until > now) != (other.override_until > now):
            return other.override_until > now
        # A reading from a clock that was ahead would win for too long: it counts as older.
        return not other.read_at < self.read_at <= now + CLOCK_TOLERANCE_MS


class ReplicaEntries:
    """At most `max_bytes`. Calls read without a lock; writers hold `_write_lock`."""

    def __init__(self, lifetimes: Lifetimes, max_bytes: int) -> None:
        self.lifetimes = lifetimes
        self.max_bytes = max_bytes
        self.complete = False  # has every entry; otherwise those that were called
        self.confirmed_at = 0  # ms: when all of Airtable was last read, or confirmed unchanged
        self.in_sync = False
        self.in_sync_until = 0  # ms: until then the change feed's last reading is valid
        self.numbers_in_airtable = 0  # by the last publication, and the changes since
        self.paused = False  # publishing is paused after a rollback
        self._known = 0  # entries with a config
        self._overrides = 0  # known entries that are overrides: Airtable need not have them
        self._entries: dict[str, ReplicaEntry] = {}
        self._existing: NumberSet | None = None  # in Redis; only while not complete
        self._bytes = 0
        self._clock_offset = 0  # Redis' clock minus this machine's, ms
        self._unsaved: set[str] = set()  # entries that Redis has not accepted yet
        self._called: set[str] = set()  # since eviction last looked; only while not complete
        self._write_lock = threading.Lock()

    # --- Reads for calls: no lock, no waiting ----------------------------------------------------

    def get_any_age(self, number: str) -> Entry | None:
        found = self._entries.get(number)
        if found is None:
            return None
        if not self.complete:
            self._called.add(number)
        return decode_entry_cached(number, found.raw)

    def get(self, number: str) -> Entry | None:
        """The entry, fresh or stale. None if it has expired."""
        entry = self.get_any_age(number)
        if entry is None or self.lifetimes.is_expired(entry, self.now(), self.confirmed_at):
            return None
        return entry

    def get_fresh_bytes(self, number: str) -> bytes | None:
        """The bytes of a known, fresh entry: everything that a cache hit needs. None while
        publishing is paused, where more has to be checked (`is_fresh`)."""
        found = self._entries.get(number)
        if found is None or not found.is_known or self.paused:
            return None
        if not self.lifetimes.is_known_fresh(
            found.read_at, found.override_until, self.now(), self.confirmed_at
        ):
            return None
        if not self.complete:
            self._called.add(number)
        return found.raw

    def raw(self, number: str) -> bytes | None:
        """The bytes of an entry of any age."""
        found = self._entries.get(number)
        return found.raw if found else None

    def is_fresh(self, entry: Entry) -> bool:
        if self.paused and entry.origin == "rollback":
            return True
        return self.lifetimes.is_fresh(entry, self.now(), self.confirmed_at)

    def is_servable(self, entry: Entry) -> bool:
        """Whether a known entry is fresh, or stale but not expired."""
        return self.lifetimes.is_servable(entry, self.now(), self.confirmed_at)

    @property
    def is_partial(self) -> bool:
        """Whether Redis has more entries than this may hold."""
        return not self.complete and self._existing is not None

    def has_all_of_airtable(self) -> bool:
        """Whether a number that is missing here is missing in Airtable too."""
        return (
            self.complete
            and self._follows_airtable()
            and self._known - self._overrides >= self.numbers_in_airtable
        )

    def is_absent(self, number: str) -> bool:
        """Whether Airtable certainly has no such number, although this replica has no config of
        it."""
        if self.complete:
            return self.has_all_of_airtable()
        return (
            self._existing is not None and self._follows_airtable() and number not in self._existing
        )

    def _follows_airtable(self) -> bool:
        return self.in_sync and not self.paused and self.now() < self.in_sync_until

    def entries_made_from(self, record_ids: Collection[str]) -> list[Entry]:
        """The entries that were made from any of these records."""
        if not record_ids:
            return []
        pattern = b"|".join(re.escape(each.encode()) for each in sorted(record_ids))
        mentions = re.compile(pattern).search
        candidates = [n for n, found in list(self._entries.items()) if mentions(found.raw)]
        entries = [entry for number in candidates if (entry := self.get(number))]
        return [
            entry
            for entry in entries
            if any(record.rpartition("/")[2] in record_ids for record in entry.records)
        ]

    def now(self) -> int:
        """Milliseconds by Redis' clock, as last compared."""
        return int(time.time() * 1000) + self._clock_offset

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def count_known(self) -> int:
        return self._known

    def known_numbers(self) -> set[str]:
        """Takes a few milliseconds for 50,000 numbers."""
        return {number for number, found in list(self._entries.items()) if found.is_known}

    @property
    def size_bytes(self) -> int:
        return self._bytes

    # --- Writes: one thread at a time ------------------------------------------------------------

    def _put(self, number: str, new: ReplicaEntry) -> bool:
        """False if the entry that is here is newer. Redis has an older one then."""
        before = self._entries.get(number)
        if before and not before.is_superseded_by(new, self.now()):
            self._unsaved.add(number)
            return False
        growth = new.size - (before.size if before else 0)
        self._make_room(growth, number)
        self._bytes += growth
        self._known += new.is_known - (before.is_known if before else False)
        self._overrides += new.is_override - (before.is_override if before else False)
        self._entries[number] = new
        return True

    def _remove(self, number: str) -> None:
        self._unsaved.discard(number)
        if before := self._entries.pop(number, None):
            self._bytes -= before.size
            self._known -= before.is_known
            self._overrides -= before.is_override

    def _has_room_for(self, raw: bytes | None) -> bool:
        return self._bytes + len(raw or b"") + OVERHEAD_BYTES <= self.max_bytes

    def _make_room(self, size: int, keep: str) -> None:
        """Evict the oldest entries. One that was called since the last look moves to the end."""
        while self._bytes + size > self.max_bytes:
            oldest = next((number for number in self._entries if number != keep), None)
            if oldest is None:
                return
            self.complete = False
            if oldest in self._called:
                self._called.discard(oldest)
                self._entries[oldest] = self._entries.pop(oldest)
            else:
                self._remove(oldest)

    def prune(self) -> None:
        """Remove expired entries. The subscription's thread calls this now and then."""
        now = self.now()
        expired = [
            number
            for number, found in list(self._entries.items())
            if self.lifetimes.is_reading_expired(
                max(found.read_at, found.override_until),
                now,
                self.confirmed_at,
                is_known=found.is_known,
            )
        ]
        with self._write_lock:
            for number in expired:
                self._remove(number)
