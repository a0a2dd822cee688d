"""Reads the change feed to its end and applies what changed. After that the cache is in sync with
Airtable, and says so in Redis."""

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from airtable_sync.airtable.errors import OUTAGES, AirtableError, NotFound
from airtable_sync.airtable.limits.rate_limiter import STARTS_PER_WINDOW
from airtable_sync.airtable.pages import PAGE_SIZE
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.changes.affected import Affected, AffectedNumbers
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.changes.polling import REFRESH_RETRY_SECONDS, Polling
from airtable_sync.changes.shared_state import FeedStatus, SharedFeedState
from airtable_sync.changes.webhook_subscription import ChangesLost, WebhookSubscription
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.schema import MappingError
from airtable_sync.models import ChangeFeed
from airtable_sync.refresh.history import last_record_counts
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)

MAX_AFFECTED_SHARE = 0.1  # of all numbers; for more, a refresh needs fewer requests
ALWAYS_LITTLE = 2  # a number's own record, and the number
MAX_CONTACTS = 1000  # likewise


class RunRefresh(Protocol):
    """Runs a full refresh. A base is small if it takes at most a second's requests: it is read
    with a call's priority. A larger one must not delay calls. None: the base was never read, so
    its size is unknown, and no call is answered from the cache yet. Raises what `Refresh.run`
    raises."""

    def __call__(self, *, is_small: bool | None) -> object: ...


class ChangeFeedReader:
    """For one process at a time. Raises AirtableError, CacheUnavailable, DatabaseError,
    MappingError, RefreshRejected and RefreshInProgress. The cursor is saved last: after a failure
    the same payloads are applied again."""

    def __init__(
        self,
        store: RedisStore,
        base_id: str,
        shared: SharedFeedState,
        subscription: WebhookSubscription,
        affected: Sequence[AffectedNumbers],
        active_mapping: ActiveMapping,
        base_schema: BaseSchema,
        polling: Polling,
        run_refresh: RunRefresh,
    ) -> None:
        self._store = store
        self._base_id = base_id
        self._shared = shared
        self.subscription = subscription
        self._affected = affected
        self._active_mapping = active_mapping
        self._base_schema = base_schema
        self._polling = polling
        self._run_refresh = run_refresh
        self.live_edits: list[float] = []  # when the edits of the last reading were made (s)

    def is_stopped(self) -> bool:
        """Whether an operator removed the subscription."""
        return ChangeFeed.for_base(self._base_id).stopped

    def read_to_end(self) -> Counter[str]:
        """Apply all changes. Returns the count of each outcome (added, changed, removed, …)."""
        self.live_edits = []
        feed, status = ChangeFeed.for_base(self._base_id), self._shared.status()
        if not self.subscription.may_try(status):
            return Counter()
        self._wait_for_refresh(feed, status)
        try:
            self.subscription.ensure(feed)
            changed, cursor = self.subscription.read(feed)
        except (ChangesLost, NotFound) as error:
            self.subscription.replace(feed, str(error))
            status = self._shared.status()
            changed, cursor = self.subscription.read(feed)
        outcomes = self._apply(feed, changed, status)
        valid_seconds, all_applied = self._polling.valid_seconds(), outcomes is not None
        if self._shared.mark_read(status.now, valid_seconds, all_applied=all_applied):
            self.live_edits = changed.edited_at
        unknown_payloads = feed.unknown_payloads + changed.unknown_payloads
        feed.change(cursor=cursor, read_at=status.now, unknown_payloads=unknown_payloads)
        for part in self._affected:
            part.prepare_search()
        return outcomes or Counter()

    def _wait_for_refresh(self, feed: ChangeFeed, status: FeedStatus) -> None:
        """If a full refresh is needed and one is running: raises RefreshInProgress, so that
        Airtable is not asked meanwhile."""
        can_apply = status.paused or _can_apply_changes(feed, status)
        if not can_apply and self._store.exists(REFRESH_LOCK):
            raise RefreshInProgress("A full refresh is needed, and one is running.")

    def _apply(
        self, feed: ChangeFeed, changed: ChangedRecords, status: FeedStatus
    ) -> Counter[str] | None:
        """None if the cache lacks a change that a later full refresh will bring."""
        if status.paused:
            if changed.tables_with_changed_fields or changed.unknown_payloads:
                self._base_schema.mark_outdated()
            return None  # after the release a full refresh follows
        if status.read_at < feed.read_at:  # Redis went back to an earlier state
            self._base_schema.mark_outdated()
            feed.change(full_read_needed_since=status.now)
        if not changed and _can_apply_changes(feed, status):
            return Counter()
        tables = self._table_names(feed, changed, status)
        if _can_apply_changes(feed, status):
            found = [(each, each.find(changed, tables)) for each in self._affected]
            if self._is_little(found, status):
                outcomes: Counter[str] = Counter()
                for part, affected in found:
                    outcomes.update(part.reread(affected))
                return outcomes
            feed.change(full_read_needed_since=status.now)
        return self._refresh(feed)

    def _is_little(
        self, found: Sequence[tuple[AffectedNumbers, Affected]], status: FeedStatus
    ) -> bool:
        (_, numbers), *others = found
        contacts = sum(affected.max_numbers() for _, affected in others)
        return (
            numbers.max_numbers() <= max(ALWAYS_LITTLE, MAX_AFFECTED_SHARE * status.numbers)
            and contacts <= MAX_CONTACTS
        )

    def _table_names(
        self, feed: ChangeFeed, changed: ChangedRecords, status: FeedStatus
    ) -> dict[str, str]:
        """Table id -> name, of the mapping's tables, after the changes."""
        tables = len(self._tables())
        before = now = self._mapped_tables(self._base_schema.table_ids())
        if len(before) < tables or not self._is_schema_known(changed):
            schema = self._base_schema.store_tables(self.subscription.client.read_tables())
            now = self._mapped_tables(schema.ids)
        has_changed_fields = changed.tables_with_changed_fields & (before.keys() | now.keys())
        if has_changed_fields or changed.unknown_payloads or len(now) < tables:
            feed.change(full_read_needed_since=status.now)
        return now

    def _is_schema_known(self, changed: ChangedRecords) -> bool:
        """Whether the tables' fields after the changes, with their types, are known without a
        request."""
        if changed.has_changed_tables or changed.has_new_types or changed.unknown_payloads:
            return False
        if self._base_schema.is_outdated():
            return False
        return not changed.tables_with_changed_fields or self._base_schema.apply_changes(
            changed.fields, changed.existing_fields
        )

    def _mapped_tables(self, ids: dict[str, str]) -> dict[str, str]:
        return {ids[name]: name for name in self._tables() if name in ids}

    def _tables(self) -> list[str]:
        return self._active_mapping.in_base(self._base_schema.known()).tables()

    def _refresh(self, feed: ChangeFeed) -> Counter[str] | None:
        """None while a rejected refresh is not tried again yet: the base will not change in
        seconds."""
        if time.time() < feed.next_refresh_at:
            return None
        try:
            self._run_refresh(is_small=self._is_small())
        except OUTAGES:
            raise  # tried again soon
        except (AirtableError, MappingError, RefreshRejected):
            feed.change(next_refresh_at=time.time() + REFRESH_RETRY_SECONDS)
            raise
        return Counter()

    def _is_small(self) -> bool | None:
        last = last_record_counts()
        mapping = self._active_mapping.in_base(self._base_schema.known())
        counts = [last.get(source) for source in mapping.sources()]
        known = [each for each in counts if each is not None]
        if len(known) < len(counts):
            return None
        return sum(math.ceil(max(1, each) / PAGE_SIZE) for each in known) <= STARTS_PER_WINDOW


def _can_apply_changes(feed: ChangeFeed, status: FeedStatus) -> bool:
    """Whether there was a full refresh since the feed started: then the changes are enough."""
    return status.last_refresh_at > 0 and feed.full_read_needed_since <= status.last_refresh_at
