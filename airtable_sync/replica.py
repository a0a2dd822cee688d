"""The replica: this process's copy of all entries, so that a hit needs no network and an outage of
Redis is no event. Calls read it without a lock; one thread of `subscription` keeps it in step."""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from django.conf import settings

from airtable_sync.entries import Entry, from_bytes, is_fresh, is_over, recently_decoded
from airtable_sync.store import (
    ENTRIES_PER_REQUEST,
    REFRESH_LEASE,
    REPLICA,
    State,
    Store,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

# What Python itself needs for an entry beside its bytes: key, value object, place in a dictionary.
OVERHEAD_BYTES = 400
REFILL_LEASE, REFILL_LEASE_SECONDS = "refill_lease", 30
CLOCKS_DIFFER_MS = 5000


@dataclass(frozen=True, slots=True)
class Held:
    """An entry as Redis keeps it; what decides between two of them is read beforehand."""

    raw: bytes
    asked_at: int
    known: bool
    held_until: int = 0  # of a pin

    @property
    def is_pin(self) -> bool:
        return self.known and self.held_until > 0

    @property
    def size(self) -> int:
        return len(self.raw) + OVERHEAD_BYTES

    def is_over(self, now: int, complete_at: int) -> bool:
        asked_at = max(self.asked_at, self.held_until)
        return is_over(asked_at, now, complete_at, known=self.known)

    def yields_to(self, other: "Held", now: int) -> bool:
        """By the rules of `publish.lua`: pins win while they last, then newer readings."""
        if (self.held_until > now) != (other.held_until > now):
            return other.held_until > now
        # One stamped by a clock that was ahead would win for as long as that: it counts as older.
        return not other.asked_at < self.asked_at <= now + CLOCKS_DIFFER_MS


class Replica:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.complete = False  # holds every entry there is; otherwise those that were called for
        self.complete_at = 0  # when a reading of all of Airtable was asked for, last
        self.in_step = False
        self.in_step_until = 0  # the change feed says that all of Airtable is here, until then (ms)
        self.numbers_there_are = 0  # by the last publication, and the changes since
        self._known = 0  # how many of the entries here are known
        self._pinned = 0  # how many of these are pins, which Airtable need not have
        self.on_hold = False  # what a rollback published stays as it is
        self._held: dict[str, Held] = {}
        self._bytes = 0
        self._epoch = ""  # which life of Redis this is a copy of
        self._same_life = False  # Redis has lost nothing since the last look
        self.sequence = 0
        self._clock_offset = 0  # Redis' clock minus ours, ms
        self._unsaved: set[str] = set()  # what Redis did not take yet
        self._again: set[str] = set()  # came in beside the changes, and may be outdated already
        self._called: set[str] = set()  # since it was last looked at; only while not complete
        self._listeners: list[Callable[[Collection[str]], None]] = []
        self._writing = threading.Lock()

    # --- calls: no lock, no wait -----------------------------------------------------------------

    def last_known(self, number: str) -> Entry | None:
        """The entry, however old."""
        held = self._held.get(number)
        if held is None:
            return None
        if not self.complete:
            self._called.add(number)
        return recently_decoded(number, held.raw)

    def get(self, number: str) -> Entry | None:
        """The entry, fresh or not, unless its life is over."""
        entry = self.last_known(number)
        return entry if entry and not entry.is_over(self.now(), self.complete_at) else None

    def fresh(self, number: str) -> bytes | None:
        """What Redis keeps of a known number, if that is fresh: all that a hit has to find out.
        None, for which there is a longer way, while a rollback holds."""
        held = self._held.get(number)
        if held is None or not held.known or self.on_hold:
            return None
        if not is_fresh(held.asked_at, held.held_until, self.now(), self.complete_at):
            return None
        if not self.complete:
            self._called.add(number)
        return held.raw

    def is_fresh(self, entry: Entry) -> bool:
        if self.on_hold and entry.by == "rollback":
            return True
        return entry.is_fresh(self.now(), self.complete_at)

    def is_servable(self, entry: Entry) -> bool:
        """Fresh, or older and still better than nothing."""
        return entry.known and not entry.is_over(self.now(), self.complete_at)

    def knows_all(self) -> bool:
        """Whether a number that is not here is unknown to Airtable, too."""
        return (
            self.complete
            and self.in_step
            and not self.on_hold
            and self.now() < self.in_step_until
            and self._known - self._pinned >= self.numbers_there_are
        )

    def made_of(self, ids: Collection[str]) -> list[Entry]:
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

    # --- what was learned elsewhere in this process ----------------------------------------------

    def keep(self, entry: Entry, *, saved: bool) -> None:
        """Take an entry that a call brought in; `saved` unless Redis could not be told of it."""
        raw = entry.to_bytes()
        with self._writing:
            if self._put(entry.number, _held(entry, raw)) and not saved:
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
            asked_at = min(max(entry.asked_at, confirmed_at), stale)
            self.keep(replace(entry, asked_at=asked_at), saved=False)

    def take_set(self, entries: Iterable[Entry], asked_at: int) -> None:
        """Take all there was at `asked_at`, where the database is the copy that processes share."""
        numbers = set()
        for entry in entries:
            numbers.add(entry.number)
            self.keep(entry, saved=True)
        with self._writing:
            for number, held in list(self._held.items()):
                if number not in numbers and held.known and held.asked_at < asked_at:
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
        `whole`. Raises StoreUnavailable, and is in step no more then."""
        try:
            self._sync("" if whole else self._epoch)
        except StoreUnavailable:
            self.in_step = False
            raise
        self.in_step = True

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
        self.in_step_until, self.numbers_there_are = state.in_step_until, state.numbers
        self.complete_at = max(self.complete_at, state.complete_at)
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
        """Numbers that the index had and that have no entry. Raises StoreUnavailable if Redis was
        emptied between the one reading and the other: then neither says anything."""
        missed = [number for number in numbers if number in self._held]
        if missed and self.store.state(state.epoch, state.sequence).whole:
            raise StoreUnavailable("Redis was emptied while it was read.")
        self._lose(missed, state)

    def _lose(self, numbers: list[str], state: State) -> None:
        """What Redis does not have it has lost, and gets back; unless its life is over, or all of
        Airtable was read since we were in step: then it is Airtable that has it no more."""
        with self._writing:
            for number, held in [(n, self._held[n]) for n in numbers if n in self._held]:
                confirmed_at = max(held.asked_at, self.complete_at)
                if held.held_until > self.now():  # Airtable has no say in it
                    self._unsaved.add(number)
                    continue
                is_gone = held.known and confirmed_at < state.complete_at
                if is_gone or held.is_over(self.now(), confirmed_at):
                    self._drop(number)
                    continue
                if held.known and held.asked_at < state.complete_at:
                    self._confirm(number, held, confirmed_at)
                self._unsaved.add(number)

    def _confirm(self, number: str, held: Held, at: int) -> None:
        """A reading of everything had it: Redis would not take it back as older than that."""
        if entry := from_bytes(number, held.raw):
            confirmed = replace(entry, asked_at=at)
            self._put(number, _held(confirmed, confirmed.to_bytes()))

    def _take(self, number: str, raw: bytes | None) -> bool:
        """Whether there is an entry to take."""
        entry = from_bytes(number, raw) if raw else None
        if not entry or not raw:
            return False
        with self._writing:
            self._end_pin(entry)
            if self._put(number, _held(entry, raw)):
                self._unsaved.discard(number)
        return True

    def _end_pin(self, entry: Entry) -> None:
        """A pin that Redis has not any more, and did not lose, was ended by an operator."""
        before = self._held.get(entry.number)
        if not before or not self._same_life or entry.number in self._unsaved:
            return
        if before.held_until > self.now() >= entry.held_until:
            self._drop(entry.number)

    def _put(self, number: str, held: Held) -> bool:
        before = self._held.get(number)
        if before and not before.yields_to(held, self.now()):
            self._unsaved.add(number)  # Redis has an older reading than we: it shall have ours
            return False
        growth = held.size - (before.size if before else 0)
        self._make_room(growth, number)
        self._bytes += growth
        self._known += held.known - (before.known if before else False)
        self._pinned += held.is_pin - (before.is_pin if before else False)
        self._held[number] = held
        return True

    def _drop(self, number: str) -> None:
        self._unsaved.discard(number)
        if before := self._held.pop(number, None):
            self._bytes -= before.size
            self._known -= before.known
            self._pinned -= before.is_pin

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
        except StoreUnavailable as error:  # full, or read-only: that makes nothing here outdated
            logger.debug("Redis does not take %d entries: %s", len(numbers), error)
            return
        if saved:
            logger.info("Gave %d entries back to Redis, which did not have them", saved)

    def _save(self, numbers: list[str]) -> int:
        """Not while a refresh publishes: what it removes must not come back behind its back."""
        token = f"{id(self)}:{time.time()}"
        if self.store.is_held(REFRESH_LEASE):
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
        stamped = [replace(each, asked_at=min(each.asked_at, now)) for each in entries]
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
        return held is None or held.asked_at == entry.asked_at

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


def _held(entry: Entry, raw: bytes) -> Held:
    return Held(raw, entry.asked_at, entry.known, entry.held_until)


def of_this_process() -> Replica:
    return _REPLICA


_REPLICA = Replica(REPLICA)
