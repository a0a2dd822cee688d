"""Follows the change feed in the background. One process, the leader, reads it; any other can take
over. One thread per process."""

import logging
import os
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError

from airtable_sync.airtable.errors import OUTAGES, AirtableError
from airtable_sync.cache.database import close_connection
from airtable_sync.changes.apply import ChangeFeedReader
from airtable_sync.changes.polling import Polling
from airtable_sync.changes.shared_state import Lead, SharedFeedState
from airtable_sync.mapping.schema import MappingError
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)

# A leader that died is replaced after this time …
LEAD_SECONDS, LEAD_SECONDS_WITH_NOTIFICATIONS = 45.0, 150.0
SILENT_SECONDS = 3.0  # … or after this time, if a change notification waits
RENEWALS = 2.5  # by an idle leader, within the duration of a lead
RENEW_WHILE_READING_SECONDS = 1.0
# People type, and Airtable saves with every key: wait for a quiet moment, but not for long.
QUIET_SECONDS, MAX_SETTLE_SECONDS = 0.3, 0.9
ECHO_SECONDS = 0.05  # the process that receives a notification also gets it through Redis
# After failures: an outage may end soon, other errors wait for a person.
BACK_OFF_SECONDS, MAX_OUTAGE_BACK_OFF_SECONDS, MAX_BACK_OFF_SECONDS = 2.0, 15.0, 300.0
REFRESH_WAIT_SECONDS = 0.5  # while another refresh runs
OUTAGE_ERRORS = (*OUTAGES, CacheUnavailable, DatabaseError)
EXPECTED_ERRORS = (*OUTAGE_ERRORS, AirtableError, MappingError, RefreshRejected)


class ChangeFeedFollower:
    """`on_edit_live` gets the seconds from an edit in Airtable until it was live."""

    def __init__(
        self,
        reader: ChangeFeedReader,
        shared: SharedFeedState,
        polling: Polling,
        on_edit_live: Callable[[float], None],
    ) -> None:
        self._reader = reader
        self._shared = shared
        self._polling = polling
        self._on_edit_live = on_edit_live
        self.is_leader = False
        self._token = f"{os.getpid()}:{secrets.token_hex(8)}"
        self._woken = threading.Event()
        self._has_notification = False  # a notification came, and the feed was not read since
        self._must_notify_leader = False  # Redis was down when it came
        self._leader_stepped_down = False
        self._may_have_missed_messages = False
        uses_notifications = polling.uses_notifications
        self._lead_seconds = LEAD_SECONDS_WITH_NOTIFICATIONS if uses_notifications else LEAD_SECONDS
        self._renew_seconds = self._lead_seconds / RENEWALS
        self._check_leader_at = self._due_at = float("-inf")
        self._expects_a_reading = False  # the leader was notified too, so it should read soon
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="change-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        if self._thread:
            self._thread.join(5)
        if self.is_leader:
            with suppress(CacheUnavailable):
                self._shared.step_down(self._token)

    def change_notified(self, *, redis_is_down: bool = False) -> None:
        """A change notification came. Returns at once; from any thread."""
        self._must_notify_leader = self._must_notify_leader or redis_is_down
        self._has_notification = True
        self._woken.set()

    def subscribed(self) -> None:
        """The connection for messages is a new one. Returns at once; from any thread."""
        self._may_have_missed_messages = True
        self._woken.set()

    def leader_stepped_down(self) -> None:
        """Returns at once; from any thread."""
        self._leader_stepped_down = True
        self._woken.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            self._woken.wait(pause)
            self._woken.clear()
            try:
                pause = self._turn()
            except RefreshInProgress as error:
                logger.debug("The change feed waits: %s", error)
                pause = REFRESH_WAIT_SECONDS
            except EXPECTED_ERRORS as error:
                pause = self._failed(error)
            except Exception as error:
                logger.exception("The change feed's thread continues after an unexpected error")
                pause = self._failed(error)
            finally:
                close_connection()

    def _turn(self) -> float:
        """Do what is due. Returns the seconds until the next turn."""
        if self._must_notify_leader:
            self._must_notify_leader = False
            self._notify_leader_late()
        missed, self._may_have_missed_messages = self._may_have_missed_messages, False
        if not missed and (wait := self._wait_for_next_turn()) > 0:
            return wait
        lead = self._try_to_lead()
        if not lead.is_leader:
            self._check_leader_at = time.monotonic() + self._next_leader_check(lead) + _jitter()
            return self._check_leader_at - time.monotonic()
        if (self._has_notification or lead.has_new_notification) and not self._failures:
            self._due_at = float("-inf")
            self._wait_for_quiet()
        if time.monotonic() >= self._due_at and not self._stopping.is_set():
            with self._lead_renewed():
                self._read()
        return min(max(0.05, self._due_at - time.monotonic()), self._renew_seconds)

    def _wait_for_next_turn(self) -> float:
        """0 if the lead has to be looked at as a whole. While nothing happens, one command at a
        time is enough."""
        if self.is_leader:
            if self._has_notification or time.monotonic() >= self._due_at:
                return 0.0
            self.is_leader = self._shared.renew_lead(self._token, self._lead_seconds)
            left = max(0.05, self._due_at - time.monotonic())
            return min(left, self._renew_seconds) if self.is_leader else 0.0
        if (wait := self._plan_leader_check()) > 0:
            return wait
        if not self._expects_a_reading and (left := self._shared.lead_remaining_seconds()) > 0:
            self._check_leader_at = time.monotonic() + left + _jitter()
            return left
        return 0.0

    def _notify_leader_late(self) -> None:
        try:
            self._shared.notify_leader_late()
        except CacheUnavailable:
            self._must_notify_leader = True
            raise

    def _plan_leader_check(self) -> float:
        """Take the notifications into account. Returns the seconds until this process, which does
        not lead, checks that another one does."""
        if self._leader_stepped_down:
            self._leader_stepped_down, self._check_leader_at = False, float("-inf")
        if self._has_notification:
            self._has_notification, self._expects_a_reading = False, True
            soon = time.monotonic() + SILENT_SECONDS + _jitter()
            self._check_leader_at = min(self._check_leader_at, soon)
        return self._check_leader_at - time.monotonic()

    def _try_to_lead(self) -> Lead:
        silent_seconds = SILENT_SECONDS if self._expects_a_reading else self._lead_seconds
        lead = self._shared.lead(self._token, self._lead_seconds, silent_seconds)
        if lead.is_leader and not self.is_leader:
            self._due_at = float("-inf")
        self.is_leader = lead.is_leader
        if lead.is_leader or not lead.has_new_notification:
            self._expects_a_reading = False
        return lead

    def _next_leader_check(self, lead: Lead) -> float:
        """The seconds until the leader's lead has ended. While a reading is expected: until the
        leader has been silent, because it may have died after it renewed its lead."""
        if not self._expects_a_reading:
            return lead.remaining_seconds
        return max(0.0, lead.remaining_seconds - (self._lead_seconds - SILENT_SECONDS))

    def _read(self) -> None:
        self._has_notification = False
        started = time.monotonic()
        stopped = self._reader.is_stopped()
        outcomes = Counter[str]() if stopped else self._reader.read_to_end()
        self._due_at, self._failures = started + self._polling.interval_seconds(), 0
        now = time.time()
        for edited_at in self._reader.live_edits:
            self._on_edit_live(max(0.0, now - edited_at))
        if changes := {name: count for name, count in outcomes.items() if count}:
            logger.info("Changes in Airtable are live: %s", changes)

    @contextmanager
    def _lead_renewed(self) -> Iterator[None]:
        """Renew the lead in a thread, however long a reading takes. Not while this process stops:
        it must not lead again after it has stepped down."""
        ended = threading.Event()

        def renew() -> None:
            while not (ended.wait(RENEW_WHILE_READING_SECONDS) or self._stopping.is_set()):
                with suppress(CacheUnavailable):
                    self._shared.lead(self._token, self._lead_seconds, self._lead_seconds)

        thread = threading.Thread(target=renew, name="change-feed-lead", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _wait_for_quiet(self) -> None:
        until = time.monotonic() + MAX_SETTLE_SECONDS
        self._has_notification = True  # so that the loop waits once at least
        while self._has_notification and time.monotonic() < until:
            self._stopping.wait(ECHO_SECONDS)
            self._has_notification = False
            self._stopping.wait(QUIET_SECONDS - ECHO_SECONDS)

    def _failed(self, error: Exception) -> float:
        if self._failures == 0:
            logger.warning("The change feed can't be read: %s", error)
        self._failures += 1
        pause = BACK_OFF_SECONDS * 2.0 ** min(self._failures - 1, 20)
        is_outage = isinstance(error, OUTAGE_ERRORS)
        pause = min(pause, MAX_OUTAGE_BACK_OFF_SECONDS if is_outage else MAX_BACK_OFF_SECONDS)
        self._due_at = time.monotonic() + pause
        return min(pause, self._renew_seconds)


def _jitter() -> float:
    """So that processes do not all check at the same moment."""
    return random.uniform(0.1, 0.5)
