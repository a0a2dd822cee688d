"""The change feed of the base: read to its end, and what changed read again and written. Whether
the cache is in step with Airtable then, it says itself."""

import logging
import math
import time
from collections import Counter

from airtable_sync.airtable import rate_limiter
from airtable_sync.airtable.client import (
    CHANGE_LIMITS,
    PAGE_SIZE,
    REFRESH_LIMITS,
    Airtable,
    RequestLimits,
)
from airtable_sync.airtable.errors import OUTAGES, AirtableError, NotFound
from airtable_sync.cache.redis_store import REFRESH_LOCK, Store
from airtable_sync.cache.replica import Replica
from airtable_sync.changes import polling, shared_state
from airtable_sync.changes.affected import Changes
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.changes.subscription import Hook, Lost
from airtable_sync.mapping import base_schema
from airtable_sync.mapping.schema import MappingError, current
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.refresh import history
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.refresh import Options, refresh
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)


class Feed:
    """For one process at a time. Raises AirtableError, CacheUnavailable, DatabaseError,
    MappingError, RefreshRejected and RefreshInProgress. The cursor is stored last: what was not finished is done again.
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
            changed, cursor = self.hook.read(state)
        except (Lost, NotFound) as error:
            self.hook.recreate(state, str(error))
            marks = shared_state.look(self.store)
            changed, cursor = self.hook.read(state)
        outcomes = self._apply(state, changed, marks)
        valid, whole = polling.valid_for_seconds(), outcomes is not None
        if shared_state.drained(self.store, marks.now, valid, whole=whole):
            self.live_edits = changed.edited_at
        unknown_payloads = state.unknown_payloads + changed.unknown_payloads
        state.change(cursor=cursor, feed_read_at=marks.now, unknown_payloads=unknown_payloads)
        return outcomes or Counter()

    def _give_way_to_a_refresh(self, state: ChangeFeed, marks: shared_state.Marks) -> None:
        """Where everything has to be read, one that is under way has to end first: raises RefreshInProgress, and
        Airtable is not asked for what changed as often as somebody looks."""
        if not (marks.held or _is_whole(state, marks)) and self.store.is_held(REFRESH_LOCK):
            raise RefreshInProgress("Everything has to be read, and a refresh is under way.")

    def _apply(
        self, state: ChangeFeed, changed: ChangedRecords, marks: shared_state.Marks
    ) -> Counter[str] | None:
        """None if the cache lacks something, which is going to be read with everything else."""
        if marks.held:
            if changed.shapes or changed.unknown_payloads:
                base_schema.outdate(self.store)
            return None  # the release is followed by a reading of everything
        if marks.feed_read_at < state.feed_read_at:  # Redis has gone back to an earlier moment
            base_schema.outdate(self.store)
            state.change(full_read_needed_since=marks.now)
        if not changed and _is_whole(state, marks):
            return Counter()
        names = self._tables(state, changed, marks)
        if _is_whole(state, marks):
            found = self.changes.affected(changed, names)
            if found.count() * 10 <= marks.numbers:
                return self.changes.apply(found)
            state.change(full_read_needed_since=marks.now)
        return self._read_everything(state)

    def _tables(
        self, state: ChangeFeed, changed: ChangedRecords, marks: shared_state.Marks
    ) -> dict[str, str]:
        """Table id -> name, of the mapping's tables; as of now, if any shape has changed."""
        tables = len(current().tables())
        before = now = self._named(base_schema.table_ids(self.store))
        if len(before) < tables or not self._says_all(changed):
            now = self._named(base_schema.renew(self.store, self.airtable).ids)
        reshaped = changed.shapes & (before.keys() | now.keys())
        if reshaped or changed.unknown_payloads or len(now) < tables:
            state.change(full_read_needed_since=marks.now)
        return now

    def _says_all(self, changed: ChangedRecords) -> bool:
        """Whether what shape the tables have now is known without asking."""
        if changed.reshaped or changed.unknown_payloads or base_schema.is_outdated(self.store):
            return False
        return not changed.shapes or base_schema.reshape(
            self.store, changed.fields, changed.old_fields
        )

    def _named(self, ids: dict[str, str]) -> dict[str, str]:
        return {ids[name]: name for name in current().tables() if name in ids}

    def _read_everything(self, state: ChangeFeed) -> Counter[str] | None:
        """Not again at once if that was refused: a base that makes no sense does not make more of
        it in two seconds."""
        if time.time() < state.next_refresh_at:
            return None
        try:
            options = Options(by=Run.By.FEED, full=True, at_once=True)
            refresh(Airtable(_patience()), lambda *_: None, options)
        except OUTAGES:
            raise  # tried again soon
        except (AirtableError, MappingError, RefreshRejected):
            state.change(next_refresh_at=time.time() + polling.REFRESH_AGAIN_SECONDS)
            raise
        return Counter()


def _patience() -> RequestLimits:
    """A base that a second's requests can read is read as any other change is; for a larger one,
    calls must not have to wait."""
    last = history.last_records()
    tables = [last.get(table) for table in current().tables()]
    pages = sum(math.ceil(max(1, records) / PAGE_SIZE) for records in tables if records is not None)
    return CHANGE_LIMITS if None not in tables and pages <= rate_limiter.STARTS else REFRESH_LIMITS


def _is_whole(state: ChangeFeed, marks: shared_state.Marks) -> bool:
    """Whether all was read since changes have been told: they are all that is needed then."""
    return marks.last_refresh_at > 0 and state.full_read_needed_since <= marks.last_refresh_at
