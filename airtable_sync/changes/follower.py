"""Follows the change feed in the background: in one process of all, the leader, which any other can
become. One thread, started after the server has forked."""

import logging
import os
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError

from airtable_sync.airtable.errors import OUTAGES, AirtableError
from airtable_sync.cache import database
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.changes import polling, shared_state
from airtable_sync.changes.apply import Feed
from airtable_sync.changes.shared_state import Lead
from airtable_sync.mapping.schema import MappingError
from airtable_sync.models import ChangeFeed
from airtable_sync.monitoring.metrics import counters
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)

LEADER_SECONDS = 45.0  # a leader that died is replaced after so long …
UNHEARD_SECONDS = 3.0  # … or, when a ping comes, if it has not stirred for so long
LOOK_SECONDS = 15.0  # how often a leader says that it lives
AT_WORK_SECONDS = 1.0  # how often while it reads: others must not take it for dead then
# People type, and Airtable saves with every key: wait until it is quiet, but not for long.
QUIET_SECONDS, LONGEST_SECONDS = 0.3, 0.9
ECHO_SECONDS = 0.05  # whom a ping reaches hears of it twice: from Airtable, and from Redis
# After failures: an outage may end at any moment, other troubles wait for a person.
BACK_OFF_SECONDS, OUTAGE_SECONDS, LONGEST_BACK_OFF_SECONDS = 2.0, 15.0, 300.0
BUSY_SECONDS = 0.5  # another refresh is under way: whether it has ended is for Redis to say
OUTAGE = (*OUTAGES, CacheUnavailable, DatabaseError)
EXPECTED = (*OUTAGE, AirtableError, MappingError, RefreshRejected)


class Watcher:
    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.leads = False
        self._token = f"{os.getpid()}:{secrets.token_hex(8)}"
        self._stirred = threading.Event()
        self._wanted = False  # a ping came, and nobody has read the feed since, as far as we know
        self._untold = False  # Redis could not be told of it
        self._leaderless = False  # a leader has said goodbye, and nobody has looked since
        self._look_at = self._due_at = float("-inf")
        self._heard = False  # a ping, that the leader should have heard, too
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="change-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._stirred.set()
        if self._thread:
            self._thread.join(5)
        if self.leads:
            with suppress(CacheUnavailable):
                shared_state.step_down(self.feed.store, self._token)

    def wake(self, *, untold: bool = False) -> None:
        """Something changed, says Airtable; `untold` if Redis is away, and other processes do not
        know. From any thread; waits for nothing."""
        self._untold = self._untold or untold
        self._wanted = True
        self._stirred.set()

    def look(self) -> None:
        """Nobody reads the feed any more. From any thread; waits for nothing."""
        self._leaderless = True
        self._stirred.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            self._stirred.wait(pause)
            self._stirred.clear()
            try:
                pause = self._turn()
            except RefreshInProgress as error:
                logger.debug("The change feed waits: %s", error)
                pause = BUSY_SECONDS
            except EXPECTED as error:
                pause = self._failed(error)
            except Exception as error:
                logger.exception("The change feed's thread goes on after an unforeseen error")
                pause = self._failed(error)
            finally:
                database.release()

    def _turn(self) -> float:
        """Do what is due; the seconds until the next look."""
        if self._untold:
            self._untold = False
            self._tell()
        if not self.leads and (wait := self._standing_by()) > 0:
            return wait
        lead = self._lead()
        if not lead.ours:
            self._look_at = time.monotonic() + lead.left_seconds + _moment()
            return lead.left_seconds + _moment()
        if (self._wanted or lead.pinged) and not self._failures:
            self._due_at = float("-inf")
            self._settle()
        if time.monotonic() >= self._due_at and not self._stopping.is_set():
            with self._leading():
                self._drain()
        return min(max(0.05, self._due_at - time.monotonic()), LOOK_SECONDS)

    def _tell(self) -> None:
        try:
            shared_state.want(self.feed.store)
        except CacheUnavailable:
            self._untold = True
            raise

    def _standing_by(self) -> float:
        """The seconds until this process, which does not lead, should look whether anybody does;
        soon after a ping."""
        if self._leaderless:
            self._leaderless, self._look_at = False, float("-inf")
        if self._wanted:
            self._wanted, self._heard = False, True
            self._look_at = min(self._look_at, time.monotonic() + UNHEARD_SECONDS + _moment())
        return self._look_at - time.monotonic()

    def _lead(self) -> Lead:
        unheard = UNHEARD_SECONDS if self._heard else LEADER_SECONDS
        lead = shared_state.lead(self.feed.store, self._token, LEADER_SECONDS, unheard)
        if lead.ours and not self.leads:
            self._due_at = float("-inf")
        self.leads, self._heard = lead.ours, False
        return lead

    def _drain(self) -> None:
        self._wanted = False
        started = time.monotonic()
        outcomes = Counter[str]() if ChangeFeed.of_this_base().stopped else self.feed.drain()
        self._due_at, self._failures = started + polling.poll_seconds(), 0
        now = time.time()
        for moment in self.feed.live_edits:
            counters.edit_propagated(max(0.0, now - moment))
        if changes := {name: count for name, count in outcomes.items() if count}:
            logger.info("Changes in Airtable are live: %s", changes)

    @contextmanager
    def _leading(self) -> Iterator[None]:
        """Say that this process is alive, however long a reading takes."""
        ended = threading.Event()

        def stay() -> None:
            while not ended.wait(AT_WORK_SECONDS):
                with suppress(CacheUnavailable):
                    shared_state.lead(self.feed.store, self._token, LEADER_SECONDS, LEADER_SECONDS)

        thread = threading.Thread(target=stay, name="change-feed-lead", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _settle(self) -> None:
        """Until nothing new came for a moment."""
        until = time.monotonic() + LONGEST_SECONDS
        self._wanted = True
        while self._wanted and time.monotonic() < until:
            self._stopping.wait(ECHO_SECONDS)
            self._wanted = False
            self._stopping.wait(QUIET_SECONDS - ECHO_SECONDS)

    def _failed(self, error: Exception) -> float:
        if self._failures == 0:
            logger.warning("The change feed can't be read: %s", error)
        self._failures += 1
        pause = BACK_OFF_SECONDS * 2.0 ** min(self._failures - 1, 20)
        is_outage = isinstance(error, OUTAGE)
        pause = min(pause, OUTAGE_SECONDS if is_outage else LONGEST_BACK_OFF_SECONDS)
        self._due_at = time.monotonic() + pause
        return min(pause, LOOK_SECONDS)


def _moment() -> float:
    """Processes do not look all at once."""
    return random.uniform(0.1, 0.5)  # noqa: S311
