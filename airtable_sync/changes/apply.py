"""The change feed of the base: read to its end, and what changed read again and written. Whether
the cache is in step with Airtable then, it says itself."""

import logging
import math
import time
from collections import Counter

from airtable_sync.airtable import rate_limiter
from airtable_sync.airtable.client import FOR_A_CHANGE, FOR_A_REFRESH, PAGE_SIZE, Airtable, Patience
from airtable_sync.airtable.errors import OUTAGES, AirtableError, NotFound
from airtable_sync.cache.redis_store import REFRESH_LEASE, Store
from airtable_sync.cache.replica import Replica
from airtable_sync.changes import polling, shared_state
from airtable_sync.changes.affected import Changes
from airtable_sync.changes.payloads import Dirty
from airtable_sync.changes.subscription import Hook, Lost
from airtable_sync.mapping import base_schema
from airtable_sync.mapping.schema import MappingError, current
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.refresh import history
from airtable_sync.refresh.lock import Busy
from airtable_sync.refresh.refresh import Options, refresh
from airtable_sync.refresh.validation import Refused

logger = logging.getLogger(__name__)


class Feed:
    """For one process at a time. Raises AirtableError, StoreUnavailable, DatabaseError,
    MappingError, Refused and Busy. The cursor is stored last: what was not finished is done again.
    """

    def __init__(self, store: Store, replica: Replica, airtable: Airtable) -> None:
        self.store, self.airtable = store, airtable
        self.hook = Hook(store, airtable)
        self.changes = Changes(store, replica, airtable)
        self.live_edits: list[float] = []  # when those were made that the last reading made live

    def drain(self) -> Counter[str]:
        """Read the feed to its end and write what changed: how many numbers were added, changed,
        removed, …"""
        self.live_edits = []
        state, marks = ChangeFeed.of_this_base(), shared_state.look(self.store)
        if not self.hook.may_be_asked(marks):
            return Counter()
        self._give_way_to_a_refresh(state, marks)
        try:
            self.hook.see_to_it(state)
            dirty, cursor = self.hook.read(state)
        except (Lost, NotFound) as error:
            self.hook.recreate(state, str(error))
            marks = shared_state.look(self.store)
            dirty, cursor = self.hook.read(state)
        outcomes = self._apply(state, dirty, marks)
        valid, whole = polling.valid_for_seconds(), outcomes is not None
        if shared_state.drained(self.store, marks.now, valid, whole=whole):
            self.live_edits = dirty.edited_at
        not_understood = state.not_understood + dirty.not_understood
        state.change(cursor=cursor, drained_at=marks.now, not_understood=not_understood)
        return outcomes or Counter()

    def _give_way_to_a_refresh(self, state: ChangeFeed, marks: shared_state.Marks) -> None:
        """Where everything has to be read, one that is under way has to end first: raises Busy, and
        Airtable is not asked for what changed as often as somebody looks."""
        if not (marks.held or _is_whole(state, marks)) and self.store.is_held(REFRESH_LEASE):
            raise Busy("Everything has to be read, and a refresh is under way.")

    def _apply(
        self, state: ChangeFeed, dirty: Dirty, marks: shared_state.Marks
    ) -> Counter[str] | None:
        """None if the cache lacks something, which is going to be read with everything else."""
        if marks.held:
            if dirty.shapes or dirty.not_understood:
                base_schema.outdate(self.store)
            return None  # the release is followed by a reading of everything
        if marks.drained_at < state.drained_at:  # Redis has gone back to an earlier moment
            base_schema.outdate(self.store)
            state.change(whole_since=marks.now)
        if not dirty and _is_whole(state, marks):
            return Counter()
        names = self._tables(state, dirty, marks)
        if _is_whole(state, marks):
            found = self.changes.affected(dirty, names)
            if found.count() * 10 <= marks.numbers:
                return self.changes.apply(found)
            state.change(whole_since=marks.now)
        return self._read_everything(state)

    def _tables(self, state: ChangeFeed, dirty: Dirty, marks: shared_state.Marks) -> dict[str, str]:
        """Table id -> name, of the mapping's tables; as of now, if any shape has changed."""
        tables = len(current().tables())
        before = now = self._named(base_schema.table_ids(self.store))
        if len(before) < tables or not self._says_all(dirty):
            now = self._named(base_schema.renew(self.store, self.airtable).ids)
        reshaped = dirty.shapes & (before.keys() | now.keys())
        if reshaped or dirty.not_understood or len(now) < tables:
            state.change(whole_since=marks.now)
        return now

    def _says_all(self, dirty: Dirty) -> bool:
        """Whether what shape the tables have now is known without asking."""
        if dirty.reshaped or dirty.not_understood or base_schema.is_outdated(self.store):
            return False
        return not dirty.shapes or base_schema.reshape(self.store, dirty.fields, dirty.old_fields)

    def _named(self, ids: dict[str, str]) -> dict[str, str]:
        return {ids[name]: name for name in current().tables() if name in ids}

    def _read_everything(self, state: ChangeFeed) -> Counter[str] | None:
        """Not again at once if that was refused: a base that makes no sense does not make more of
        it in two seconds."""
        if time.time() < state.refresh_again_at:
            return None
        try:
            options = Options(by=Run.By.FEED, full=True, at_once=True)
            refresh(Airtable(_patience()), lambda *_: None, options)
        except OUTAGES:
            raise  # tried again soon
        except (AirtableError, MappingError, Refused):
            state.change(refresh_again_at=time.time() + polling.REFRESH_AGAIN_SECONDS)
            raise
        return Counter()


def _patience() -> Patience:
    """A base that a second's requests can read is read as any other change is; for a larger one,
    calls must not have to wait."""
    last = history.last_records()
    tables = [last.get(table) for table in current().tables()]
    pages = sum(math.ceil(max(1, records) / PAGE_SIZE) for records in tables if records is not None)
    return FOR_A_CHANGE if None not in tables and pages <= rate_limiter.STARTS else FOR_A_REFRESH


def _is_whole(state: ChangeFeed, marks: shared_state.Marks) -> bool:
    """Whether all was read since changes have been told: they are all that is needed then."""
    return marks.whole_at > 0 and state.whole_since <= marks.whole_at
