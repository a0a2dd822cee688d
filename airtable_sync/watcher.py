"""Follows the change feed in the background: in one process of all, the leader, which any other can
become. One thread, started after the server has forked."""

import logging
import random
import secrets
import threading
import time
from contextlib import suppress

from django.db import DatabaseError, connection

from airtable_sync import counters, feed_marks, pace
from airtable_sync.airtable_errors import AirtableError
from airtable_sync.alone import Busy
from airtable_sync.feed import Feed
from airtable_sync.gate import Refused
from airtable_sync.mapping import MappingError
from airtable_sync.models import ChangeFeed
from airtable_sync.store import StoreUnavailable

logger = logging.getLogger(__name__)

LEADER_SECONDS = 45.0  # a leader that died is replaced after so long
LOOK_SECONDS = 15.0  # how often a leader says that it lives; the others look half as often
# People type, and Airtable saves with every key: wait until it is quiet, but not for long.
QUIET_SECONDS, LONGEST_SECONDS = 0.3, 0.9
BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 2.0, 300.0
EXPECTED = (AirtableError, StoreUnavailable, DatabaseError, MappingError, Refused, Busy)


class Watcher:
    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.leads = False
        self._token = secrets.token_hex(8)
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._drained_at = float("-inf")
        self._failures = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="change-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wanted.set()
        if self._thread:
            self._thread.join(5)
        if self.leads:
            with suppress(StoreUnavailable):
                feed_marks.step_down(self.feed.store, self._token)

    def wake(self) -> None:
        """Something changed, says Airtable. From any thread; waits for nothing."""
        self._wanted.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            self._wanted.wait(pause)
            try:
                pause = self._turn()
                self._failures = 0
            except EXPECTED as error:
                pause = self._failed(error)
            except Exception as error:
                logger.exception("The change feed's thread goes on after an unforeseen error")
                pause = self._failed(error)
            finally:
                connection.close()

    def _turn(self) -> float:
        """Do what is due; the seconds until the next look."""
        wanted = self._wanted.is_set()
        if wanted and not self._stopping.is_set():
            self._settle()
        self._wanted.clear()
        self.leads, pinged = feed_marks.lead(self.feed.store, self._token, LEADER_SECONDS)
        if not self.leads or ChangeFeed.of_this_base().stopped:
            return LOOK_SECONDS * random.uniform(2.0, 3.0)  # noqa: S311
        interval = pace.poll_seconds()
        if wanted or pinged or time.monotonic() - self._drained_at >= interval:
            self._drain()
        due = self._drained_at + interval - time.monotonic()
        return max(0.05, min(due, LOOK_SECONDS))

    def _drain(self) -> None:
        started = time.monotonic()
        outcomes = self.feed.drain()
        self._drained_at = started
        now = time.time()
        for moment in self.feed.last_dirty.edited_at:
            counters.edit_live(max(0.0, now - moment))
        if changes := {name: count for name, count in outcomes.items() if count}:
            logger.info("Changes in Airtable are live: %s", changes)

    def _settle(self) -> None:
        """Until nothing new came for a moment."""
        until = time.monotonic() + LONGEST_SECONDS
        while self._wanted.is_set() and time.monotonic() < until:
            self._wanted.clear()
            self._stopping.wait(QUIET_SECONDS)

    def _failed(self, error: Exception) -> float:
        if self._failures == 0:
            logger.warning("The change feed can't be read: %s", error)
        self._failures += 1
        pause = BACK_OFF_SECONDS * 2.0 ** min(self._failures - 1, 20)
        return min(pause, LONGEST_BACK_OFF_SECONDS)
