"""What a process holds of all entries, and how calls read it. `Replica` keeps it in step."""

import re
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings

from airtable_sync.cache.entry import Entry, is_expired, is_fresh, recently_decoded

# What Python itself needs for an entry beside its bytes: key, value object, place in a dictionary.
OVERHEAD_BYTES = 400
CLOCKS_DIFFER_MS = 5000


@dataclass(frozen=True, slots=True)
class ReplicaEntry:
    """An entry as Redis keeps it; what decides between two of them is read beforehand."""

    raw: bytes
    read_at: int
    known: bool
    override_until: int = 0  # of a pin

    @property
    def is_override(self) -> bool:
        return self.known and self.override_until > 0

    @property
    def size(self) -> int:
        return len(self.raw) + OVERHEAD_BYTES

    def is_expired(self, now: int, confirmed_at: int) -> bool:
        read_at = max(self.read_at, self.override_until)
        return is_expired(read_at, now, confirmed_at, known=self.known)

    def is_superseded_by(self, other: "ReplicaEntry", now: int) -> bool:
        """By the rules of `publish.lua`: pins win while they last, then newer readings."""
        if (self.override_until > now) != (other.override_until > now):
            return other.override_until > now
        # One stamped by a clock that was ahead would win for as long as that: it counts as older.
        return not other.read_at < self.read_at <= now + CLOCKS_DIFFER_MS


class ReplicaEntries:
    """Within REPLICA_MAX_BYTES. Calls read it without a lock; who writes has `_writing`."""

    def __init__(self) -> None:
        self.complete = False  # holds every entry there is; otherwise those that were called for
        self.confirmed_at = 0  # when a reading of all of Airtable was asked for, last
        self.in_sync = False
        self.in_sync_until = 0  # the change feed says that all of Airtable is here, until then (ms)
        self.numbers_in_airtable = 0  # by the last publication, and the changes since
        self.on_hold = False  # what a rollback published stays as it is
        self._known = 0  # how many of the entries here are known
        self._pinned = 0  # how many of these are pins, which Airtable need not have
        self._held: dict[str, ReplicaEntry] = {}
        self._bytes = 0
        self._clock_offset = 0  # Redis' clock minus ours, ms
        self._unsaved: set[str] = set()  # what Redis did not take yet
        self._called: set[str] = set()  # since it was last looked at; only while not complete
        self._writing = threading.Lock()

    # --- what calls read: no lock, no wait -------------------------------------------------------

    def get_any_age(self, number: str) -> Entry | None:
        """The entry, however old."""
        held = self._held.get(number)
        if held is None:
            return None
        if not self.complete:
            self._called.add(number)
        return recently_decoded(number, held.raw)

    def get(self, number: str) -> Entry | None:
        """The entry, fresh or not, unless its life is over."""
        entry = self.get_any_age(number)
        return entry if entry and not entry.is_expired(self.now(), self.confirmed_at) else None

    def fresh(self, number: str) -> bytes | None:
        """What Redis keeps of a known number, if that is fresh: all that a hit has to find out.
        None, for which there is a longer way, while a rollback holds."""
        held = self._held.get(number)
        if held is None or not held.known or self.on_hold:
            return None
        if not is_fresh(held.read_at, held.override_until, self.now(), self.confirmed_at):
            return None
        if not self.complete:
            self._called.add(number)
        return held.raw

    def is_fresh(self, entry: Entry) -> bool:
        if self.on_hold and entry.by == "rollback":
            return True
        return entry.is_fresh(self.now(), self.confirmed_at)

    def is_servable(self, entry: Entry) -> bool:
        """Fresh, or older and still better than nothing."""
        return entry.known and not entry.is_expired(self.now(), self.confirmed_at)

    def knows_all(self) -> bool:
        """Whether a number that is not here is unknown to Airtable, too."""
        return (
            self.complete
            and self.in_sync
            and not self.on_hold
            and self.now() < self.in_sync_until
            and self._known - self._pinned >= self.numbers_in_airtable
        )

    def made_from(self, ids: Collection[str]) -> list[Entry]:
        """The entries that were made of any of these records."""
        if not ids:
            return []
        mentions = re.compile(b"|".join(re.escape(each.encode()) for each in sorted(ids))).search
        found = [number for number, held in list(self._held.items()) if mentions(held.raw)]
        entries = [entry for number in found if (entry := self.get(number))]
        return [e for e in entries if any(r.rpartition("/")[2] in ids for r in e.records)]

    def now(self) -> int:
        """The time by Redis' clock, as far as it is known, in milliseconds."""
        return int(time.time() * 1000) + self._clock_offset

    def __len__(self) -> int:
        return len(self._held)

    @property
    def known(self) -> int:
        """How many of the entries here are numbers that Airtable, or an operator, has."""
        return self._known

    def numbers(self) -> set[str]:
        """The known ones. It takes a few milliseconds for 50,000."""
        return {number for number, held in list(self._held.items()) if held.known}

    @property
    def bytes_held(self) -> int:
        return self._bytes

    # --- writing: one thread at a time -----------------------------------------------------------

    def _put(self, number: str, held: ReplicaEntry) -> bool:
        before = self._held.get(number)
        if before and not before.is_superseded_by(held, self.now()):
            self._unsaved.add(number)  # Redis has an older reading than we: it shall have ours
            return False
        growth = held.size - (before.size if before else 0)
        self._make_room(growth, number)
        self._bytes += growth
        self._known += held.known - (before.known if before else False)
        self._pinned += held.is_override - (before.is_override if before else False)
        self._held[number] = held
        return True

    def _drop(self, number: str) -> None:
        self._unsaved.discard(number)
        if before := self._held.pop(number, None):
            self._bytes -= before.size
            self._known -= before.known
            self._pinned -= before.is_override

    def _is_full_with(self, raw: bytes | None) -> bool:
        return self._bytes + len(raw or b"") + OVERHEAD_BYTES > settings.REPLICA_MAX_BYTES

    def _make_room(self, size: int, keep: str) -> None:
        """Above the limit entries go, in the order in which they came; those that were called for
        since the last look are looked at again later."""
        while self._bytes + size > settings.REPLICA_MAX_BYTES:
            oldest = next((each for each in self._held if each != keep), None)
            if oldest is None:
                return
            self.complete = False
            if oldest in self._called:
                self._called.discard(oldest)
                self._held[oldest] = self._held.pop(oldest)
            else:
                self._drop(oldest)

    def prune(self) -> None:
        """Drop what has outlived its use. Now and then, in the thread that keeps in step."""
        now = self.now()
        over = [
            number
            for number, held in list(self._held.items())
            if held.is_expired(now, self.confirmed_at)
        ]
        with self._writing:
            for number in over:
                self._drop(number)


def replica_entry_of(entry: Entry, raw: bytes) -> ReplicaEntry:
    return ReplicaEntry(raw, entry.read_at, entry.known, entry.override_until)
