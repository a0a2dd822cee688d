"""The replica: this process's copy of all entries, so that a hit needs no network and an outage of
Redis is no event. Calls read it without a lock; one thread of `subscription` keeps it in step."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.conf import settings

from airtable_sync.entries import Entry, from_bytes, is_over
from airtable_sync.store import REPLICA, Store, StoreUnavailable

logger = logging.getLogger(__name__)

# What Python itself needs for an entry beside its bytes: key, value object, place in a dictionary.
OVERHEAD_BYTES = 400
REFILL_LEASE, REFILL_LEASE_SECONDS = "refill_lease", 30


@dataclass(frozen=True, slots=True)
class Held:
    """An entry as Redis keeps it; what decides between two of them is read beforehand."""

    raw: bytes
    asked_at: int
    known: bool

    @property
    def size(self) -> int:
        return len(self.raw) + OVERHEAD_BYTES

    def is_over(self, now: int, complete_at: int) -> bool:
        return is_over(self.asked_at, now, complete_at, known=self.known)


class Replica:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.complete = False  # holds every entry there is; otherwise those that were called for
        self.complete_at = 0  # when a reading of all of Airtable was asked for, last
        self.in_step = False
        self._held: dict[str, Held] = {}
        self._bytes = 0
        self._epoch: str | None = (
            None  # which life of Redis this is a copy of; None before the first load
        )
        self.sequence = 0
        self._clock_offset = 0  # Redis' clock minus ours, ms
        self._unsaved: set[str] = set()  # what Redis did not take yet
        self._listeners: list[Callable[[Collection[str]], None]] = []
        self._writing = threading.Lock()

    # --- calls: no lock, no wait -----------------------------------------------------------------

    def get(self, number: str) -> Entry | None:
        """The entry, fresh or not, unless its life is over."""
        held = self._held.get(number)
        if held is None or held.is_over(self.now(), self.complete_at):
            return None
        return from_bytes(number, held.raw)

    def is_fresh(self, entry: Entry) -> bool:
        return entry.is_fresh(self.now(), self.complete_at)

    def is_servable(self, entry: Entry) -> bool:
        """Fresh, or older and still better than nothing."""
        return entry.known and not entry.is_over(self.now(), self.complete_at)

    def now(self) -> int:
        """The time by Redis' clock, as far as it is known, in milliseconds."""
        return int(time.time() * 1000) + self._clock_offset

    def __len__(self) -> int:
        return len(self._held)

    # --- what was learned elsewhere in this process ----------------------------------------------

    def keep(self, entry: Entry, *, saved: bool) -> None:
        """Take an entry that a call brought in; `saved` unless Redis could not be told of it."""
        raw = entry.to_bytes()
        with self._writing:
            if self._put(entry.number, Held(raw, entry.asked_at, entry.known)) and not saved:
                self._unsaved.add(entry.number)

    def on_change(self, listener: Callable[[Collection[str]], None]) -> None:
        """Be told, in the thread that keeps the replica in step, which numbers changed."""
        self._listeners.append(listener)

    # --- keeping in step: in one thread ----------------------------------------------------------

    def sync(self) -> None:
        """Read what changed since the last time; everything, if this is another Redis than then.
        Raises StoreUnavailable, and is in step no more then."""
        try:
            self._sync()
        except StoreUnavailable:
            self.in_step = False
            raise
        self.in_step = True

    def _sync(self) -> None:
        state = self.store.state(self._epoch or "", self.sequence)
        self._clock_offset = state.now - int(time.time() * 1000)
        if state.epoch == self._epoch:
            self._take_changes([number for number, _ in state.changed])
        else:
            self._take_everything([number for number, _ in state.changed])
            self._epoch, self.sequence = state.epoch, 0
        self.sequence = max([self.sequence, *(sequence for _, sequence in state.changed)])
        self.complete_at = max(self.complete_at, state.complete_at)
        self._save_unsaved()

    def _take_changes(self, numbers: list[str]) -> None:
        wanted = numbers if self.complete else [each for each in numbers if each in self._held]
        for number, raw in self.store.read_raw(wanted):
            self._take(number, raw)
        self._tell(numbers)

    def _take_everything(self, numbers: list[str]) -> None:
        """Load all; keep, and give back to Redis, what it has lost."""
        self.complete = True
        for number, raw in self.store.read_raw(numbers):
            if self._is_full_with(raw) and number not in self._held:
                self.complete = False  # the others come when they are called for
                break
            self._take(number, raw)
        there = set(numbers)
        with self._writing:
            self._unsaved.update(number for number in self._held if number not in there)
        self._tell(numbers)

    def _take(self, number: str, raw: bytes | None) -> None:
        entry = from_bytes(number, raw) if raw else None
        with self._writing:
            if entry and raw:
                if self._put(number, Held(raw, entry.asked_at, entry.known)):
                    self._unsaved.discard(number)
            elif number not in self._unsaved:
                self._drop(number)

    def _put(self, number: str, held: Held) -> bool:
        before = self._held.get(number)
        if before and before.asked_at > held.asked_at:
            self._unsaved.add(number)  # Redis has an older reading than we: it shall have ours
            return False
        if not before:
            self._make_room(held.size)
        self._bytes += held.size - (before.size if before else 0)
        self._held[number] = held
        return True

    def _drop(self, number: str) -> None:
        if before := self._held.pop(number, None):
            self._bytes -= before.size

    def _is_full_with(self, raw: bytes | None) -> bool:
        return self._bytes + len(raw or b"") + OVERHEAD_BYTES > settings.REPLICA_MAX_BYTES

    def _make_room(self, size: int) -> None:
        """Above the limit the entries that came first go first; they come back when called for."""
        while self._held and self._bytes + size > settings.REPLICA_MAX_BYTES:
            self.complete = False
            self._drop(next(iter(self._held)))

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
        entries = [entry for number in numbers if (entry := self.get(number))]
        try:
            if not self._save(entries):
                return
        except StoreUnavailable as error:  # full, or read-only: that makes nothing here outdated
            logger.debug("Redis does not take %d entries: %s", len(entries), error)
            return
        logger.info("Gave %d entries back to Redis, which did not have them", len(entries))
        with self._writing:
            self._unsaved -= numbers

    def _save(self, entries: list[Entry]) -> bool:
        token = f"{id(self)}:{time.time()}"
        if not self.store.add(REFILL_LEASE, token, REFILL_LEASE_SECONDS):
            return False
        try:
            self.store.write(entries, announce_unchanged=False)
        finally:
            self.store.release(REFILL_LEASE, token)
        return True

    def prune(self) -> None:
        """Drop what has outlived its use. Now and then, in the thread that keeps in step."""
        now = self.now()
        over = [
            number
            for number, held in list(self._held.items())
            if held.is_over(now, self.complete_at)
        ]
        with self._writing:
            for number in over:
                self._drop(number)
                self._unsaved.discard(number)


def of_this_process() -> Replica:
    return _REPLICA


_REPLICA = Replica(REPLICA)
