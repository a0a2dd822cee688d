"""Siftly's own hook on the base: made, kept alive, made anew when it is lost, and read."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from django.conf import settings

from airtable_sync.airtable.client import Airtable
from airtable_sync.airtable.errors import PASSING, AirtableError, NotFound
from airtable_sync.airtable.webhooks_api import Created, Hooks, Listed
from airtable_sync.cache.redis_store import Store
from airtable_sync.changes import polling, shared_state
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.mapping import base_schema
from airtable_sync.models import ChangeFeed
from airtable_sync.refresh.lock import RefreshInProgress

logger = logging.getLogger(__name__)

PROLONG_BEFORE = timedelta(days=2)


class Lost(Exception):
    """The feed can't tell any more what changed; the message says why."""


class Hook:
    """Raises AirtableError, CacheUnavailable and DatabaseError."""

    def __init__(self, store: Store, airtable: Airtable) -> None:
        self.hooks = Hooks(airtable)
        self._store = store
        self._asked = False  # by this process
        self._checked_at = float("-inf")
        self._next_cursor = 0  # what the feed must reach at the least, by the hook's own word

    def may_be_asked(self, marks: shared_state.Marks) -> bool:
        """Not again for hours after Airtable has said no, unless by a process that has just
        started: with another token, perhaps."""
        if marks.refused and self._asked:
            return False
        self._asked = True
        return True

    def see_to_it(self, state: ChangeFeed) -> None:
        """That there is one, which pings where it should. Now and then look at it: it expires in a
        week, and Airtable switches pings off that failed for a day. Raises Lost."""
        if not state.hook or state.url != ping_url():
            self.recreate(state, "Its address has changed." if state.hook else "")
        if time.monotonic() - self._checked_at < polling.hook_check_seconds():
            return
        with self._trouble_noted(state):
            listed = self.hooks.listed()
        hook = next((each for each in listed if each.id == state.hook), None)
        if hook is None:
            raise Lost("The hook is gone.")
        if not hook.is_alive(datetime.now(UTC)):
            raise Lost("The hook has expired, or was disabled.")
        if hook.next_cursor < state.cursor:
            raise Lost("The hook has begun to count anew.")
        self._next_cursor = hook.next_cursor
        self._keep_alive(state, hook)
        self._delete(each for each in listed if each.id != hook.id and _is_ours(each))
        self._checked_at = time.monotonic()

    def recreate(self, state: ChangeFeed, reason: str) -> None:
        """A new hook in place of what there was, and everything to be read once. Raises RefreshInProgress."""
        if reason:
            logger.warning("The change feed begins anew: %s", reason)
        with self._trouble_noted(state):
            self._delete_old(state)
            created = self.hooks.create(ping_url() or None)
        if not self._keep(state, created):
            self.hooks.delete(created.id)
            raise RefreshInProgress("Another process sees to the hook.")
        base_schema.outdate(self._store)
        state.note(reason)
        self._next_cursor = 0

    def read(self, state: ChangeFeed) -> tuple[ChangedRecords, int]:
        """All payloads from the cursor on, and the cursor behind them. Raises Lost."""
        changed, cursor, more = ChangedRecords(), state.cursor, True
        while more:
            with self._trouble_noted(state):
                page = self.hooks.page(state.hook, cursor)
            if page.payloads and page.first > cursor:
                raise Lost("Airtable has deleted payloads that were not read within a week.")
            for payload in page.payloads:
                changed.add(payload)
            if changed.broken:
                raise Lost(f"Airtable says {changed.broken}.")
            cursor, more = page.cursor, page.more and bool(page.payloads)
        if cursor < self._next_cursor:
            raise Lost("Airtable has deleted payloads that were not read within a week.")
        return changed, cursor

    def _keep(self, state: ChangeFeed, created: Created) -> bool:
        return state.change(
            hook=created.id,
            secret=created.secret,
            url=ping_url(),
            cursor=1,
            expires_at=created.expires_at,
            full_read_needed_since=self._store.now(),
        )

    def _delete_old(self, state: ChangeFeed) -> None:
        """The one we know of, and those that ping our own address; never anybody else's."""
        listed = self.hooks.listed()
        self._delete(each for each in listed if each.id == state.hook or _is_ours(each))

    def _delete(self, hooks: Iterable[Listed]) -> None:
        for hook in hooks:
            with suppress(NotFound):
                self.hooks.delete(hook.id)

    def _keep_alive(self, state: ChangeFeed, hook: Listed) -> None:
        if hook.expires_at and hook.expires_at - datetime.now(UTC) < PROLONG_BEFORE:
            self.hooks.prolong(hook.id)
        if state.url and not hook.pings:
            self.hooks.switch_pings_on(hook.id)
            state.note(f"Airtable had given up pinging ({hook.last_ping}); it pings again.")

    @contextmanager
    def _trouble_noted(self, state: ChangeFeed) -> Iterator[None]:
        """What a person has to change (a scope, the base's ten hooks) is said, and nobody asks
        again for hours."""
        try:
            yield
        except AirtableError as error:
            if not isinstance(error, (NotFound, *PASSING)):
                state.note(f"The change feed can't be followed: {error}")
                shared_state.refused(self._store, polling.REFUSED_AGAIN_SECONDS)
            raise


def ping_url() -> str:
    """Where Airtable pings; empty if it does not."""
    if settings.AIRTABLE_CHANGES != "push":
        return ""
    return f"{(settings.PUBLIC_URL or '').rstrip('/')}/airtable/changes/"


def _is_ours(hook: Listed) -> bool:
    return bool(hook.url) and hook.url == ping_url()
