"""The change feed of the base: reading it to its end, healing it, and saying whether the cache is
in step with Airtable."""

import logging
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from django.conf import settings

from airtable_sync import feed_marks, fields, pace
from airtable_sync.airtable import FOR_A_REFRESH, Airtable
from airtable_sync.airtable_errors import AirtableError, NotFound
from airtable_sync.changes import Changes
from airtable_sync.hooks import Hooks, Listed
from airtable_sync.mapping import current
from airtable_sync.models import ChangeFeed, Run
from airtable_sync.payloads import Dirty
from airtable_sync.refresh import Options, refresh
from airtable_sync.replica import Replica
from airtable_sync.store import COMPLETE_AT, COMPLETE_NUMBERS, HOLD, Store

logger = logging.getLogger(__name__)

PROLONG_BEFORE = timedelta(days=2)


class Lost(Exception):
    """The feed can't tell any more what changed; the message says why."""


class Feed:
    """For one process at a time. Raises AirtableError, StoreUnavailable, DatabaseError,
    MappingError, Refused and Busy. The cursor is stored last: what was not finished is done again.
    """

    def __init__(self, store: Store, replica: Replica, airtable: Airtable) -> None:
        self.store, self.airtable = store, airtable
        self.hooks = Hooks(airtable)
        self.changes = Changes(store, replica, airtable)
        self.last_dirty = Dirty()
        self._checked_at = 0.0
        self._next_cursor = 0  # what the feed must reach at the least, by the hook's own word

    def drain(self) -> Counter[str]:
        """Read the feed to its end and write what changed: how many numbers were added, changed,
        removed, …"""
        feed = ChangeFeed.of_this_base()
        if feed.url != ping_url() or not feed.hook:
            self.recreate(feed, "Its address changed." if feed.hook else "")
        asked_at = self.store.now()
        try:
            self._look_at_the_hook(feed)
            dirty, cursor = self._read(feed)
        except (Lost, NotFound) as error:
            self.recreate(feed, str(error))
            asked_at = self.store.now()
            dirty, cursor = self._read(feed)
        outcomes = self._apply(feed, dirty, asked_at)
        feed.cursor, feed.drained_at = cursor, asked_at
        feed.not_understood += dirty.not_understood
        feed.save()
        self.last_dirty = dirty
        if not self.store.is_held(HOLD):
            gained = outcomes["added"] - outcomes["removed"]
            feed_marks.in_step(self.store, asked_at, pace.valid_for_seconds(), gained)
        return outcomes

    def recreate(self, feed: ChangeFeed, reason: str) -> None:
        """A new hook in place of what there was, and everything to be read once."""
        if reason:
            logger.warning("The change feed begins anew: %s", reason)
        self._delete_ours(feed)
        created = self.hooks.create(ping_url() or None)
        feed.hook, feed.secret, feed.url = created.id, created.secret, ping_url()
        feed.cursor, feed.expires_at = 1, created.expires_at
        feed.whole_since = self.store.now()
        feed.note(reason)
        feed.save()
        self._next_cursor = 0

    def _delete_ours(self, feed: ChangeFeed) -> None:
        """The one we know of, and those that ping our own address; never anybody else's."""
        try:
            listed = self.hooks.listed()
        except AirtableError as error:
            logger.warning("The base's hooks can't be listed: %s", error)
            return
        for hook in listed:
            if hook.id == feed.hook or (hook.url and hook.url == ping_url()):
                self.hooks.delete(hook.id)

    def _look_at_the_hook(self, feed: ChangeFeed) -> None:
        """Now and then: it expires in a week, and Airtable switches pings off that failed for a
        day. Raises Lost."""
        if time.monotonic() - self._checked_at < pace.hook_check_seconds() and self._checked_at:
            return
        hook = next((each for each in self.hooks.listed() if each.id == feed.hook), None)
        if hook is None or not hook.enabled:
            raise Lost("The hook is gone." if hook is None else "Airtable has disabled the hook.")
        if hook.next_cursor < feed.cursor:
            raise Lost("The hook has begun to count anew.")
        self._next_cursor = hook.next_cursor
        self._keep_alive(feed, hook)
        self._checked_at = time.monotonic()

    def _keep_alive(self, feed: ChangeFeed, hook: Listed) -> None:
        feed.expires_at = hook.expires_at
        if hook.expires_at and hook.expires_at - datetime.now(UTC) < PROLONG_BEFORE:
            self.hooks.prolong(hook.id)
        if feed.url and not hook.pings:
            self.hooks.switch_pings_on(hook.id)
            feed.note(f"Airtable had given up pinging ({hook.last_ping}); it pings again.")

    def _read(self, feed: ChangeFeed) -> tuple[Dirty, int]:
        """All payloads from the cursor on, and the cursor behind them. Raises Lost."""
        dirty, cursor, more = Dirty(), feed.cursor, True
        while more:
            page = self.hooks.page(feed.hook, cursor)
            if page.payloads and page.first > cursor:
                raise Lost("Airtable has deleted payloads that were not read within a week.")
            for payload in page.payloads:
                dirty.add(payload)
            if dirty.broken:
                raise Lost(f"Airtable says {dirty.broken}.")
            cursor, more = page.cursor, page.more and bool(page.payloads)
        if cursor < self._next_cursor:
            raise Lost("Airtable has deleted payloads that were not read within a week.")
        return dirty, cursor

    # --- what changed ----------------------------------------------------------------------------

    def _apply(self, feed: ChangeFeed, dirty: Dirty, asked_at: int) -> Counter[str]:
        if self.store.is_held(HOLD):
            return Counter()  # the refresh that follows the release reads everything
        names = self._table_names()
        if dirty.not_understood or dirty.shapes & names.keys():
            fields.renew(self.store, self.airtable)
            feed.whole_since = asked_at
        complete_at = int(self.store.recall(COMPLETE_AT) or 0)
        if complete_at and feed.whole_since <= complete_at:
            found = self.changes.affected(dirty, names)
            if len(found.numbers) * 10 <= int(self.store.recall(COMPLETE_NUMBERS) or 0):
                return self.changes.apply(found)
            feed.whole_since = asked_at
        feed.save(update_fields=["whole_since"])
        self._read_everything(feed)
        return Counter()

    def _read_everything(self, feed: ChangeFeed) -> None:
        """Not again at once if that was refused, or failed: a base that makes no sense does not
        make more of it in two seconds."""
        if time.time() < feed.refresh_again_at:
            return
        feed.refresh_again_at = time.time() + pace.REFRESH_AGAIN_SECONDS
        feed.save(update_fields=["refresh_again_at"])
        refresh(Airtable(FOR_A_REFRESH), lambda *_: None, Options(by=Run.By.FEED, full=True))
        feed.refresh_again_at = 0.0

    def _table_names(self) -> dict[str, str]:
        """Table id -> name, of the mapping's tables."""
        ids = fields.table_ids(self.store) or fields.renew(self.store, self.airtable).ids
        return {ids[name]: name for name in current().tables() if name in ids}


def ping_url() -> str:
    """Where Airtable pings; empty if it does not."""
    if settings.AIRTABLE_CHANGES != "push":
        return ""
    return f"{(settings.PUBLIC_URL or '').rstrip('/')}/airtable/changes/"
