"""Serving from the database's newest snapshot: when a process has no entries from Redis, and always
where there is no Redis."""

import asyncio
import logging
import time
from contextlib import suppress

from django.db import DatabaseError

from airtable_sync.cache.contacts import contacts_in, numbers_in
from airtable_sync.cache.database import close_connection
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.overrides import Overrides, active_overrides
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.replica_entries import CLOCK_TOLERANCE_MS
from airtable_sync.cache.snapshots import Snapshots, confirmed_entries_of, entries_of
from airtable_sync.models import Snapshot
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

FOLLOW_SECONDS = 30.0
RELOAD_SECONDS = 30.0


class SnapshotFallback:
    """Loads the newest snapshot into an empty replica: Redis is empty or down, and so is
    Airtable."""

    def __init__(
        self, replica: Replica, snapshots: Snapshots, overrides: Overrides, contacts: Replica
    ) -> None:
        self._replica, self._contacts = replica, contacts
        self._snapshots, self._overrides = snapshots, overrides
        self._loading: asyncio.Future[None] | None = None
        self._loaded_at = float("-inf")

    def start_replica(self) -> None:
        """Serve the newest snapshot as stale until something newer is known. Run it in a thread."""
        try:
            if newest := self._snapshots.newest():
                entries = list(confirmed_entries_of(newest))
                for replica, part in _parts(self._replica, self._contacts, entries):
                    replica.start_from_snapshot(part)
                self._overrides.apply_to_replica(active_overrides())
                logger.warning("Started from the newest snapshot in the database: %s", newest)
        except DatabaseError as error:
            logger.warning("The newest snapshot can't be read from the database: %s", error)
        finally:
            close_connection()

    def take_newer_snapshot(self) -> None:
        """At the start of a process: Redis may have been restored from an older backup. Not from an
        emptied Redis: Airtable has newer data than a snapshot. Run it in a thread."""
        try:
            newest = self._snapshots.newest()
            if newest and self._is_newer_than_redis(newest):
                entries = list(confirmed_entries_of(newest))
                for replica, part in _parts(self._replica, self._contacts, entries):
                    replica.replace_with_snapshot(part, newest.confirmed_at, saved=False)
                logger.warning("Redis is older than the newest snapshot: %s", newest)
                self._replica.store.notify_replicas()
        except DatabaseError as error:
            logger.warning("The newest snapshot can't be compared with Redis: %s", error)
        except CacheUnavailable as error:
            logger.info("The newest snapshot is compared when Redis is back: %s", error)
        finally:
            close_connection()

    def _is_newer_than_redis(self, snapshot: Snapshot) -> bool:
        """One that was confirmed in the future is from a clock that was ahead."""
        redis, confirmed_at = self._replica.confirmed_at, snapshot.confirmed_at
        if redis == 0 or confirmed_at > self._replica.now() + CLOCK_TOLERANCE_MS:
            return False
        return redis < confirmed_at - CLOCK_TOLERANCE_MS

    async def load(self) -> None:
        """Load the snapshot, at most once every half minute, for all callers that wait for it.
        Await it with a time limit."""
        now = time.monotonic()
        if self._loading is None or now - self._loaded_at > RELOAD_SECONDS:
            self._loaded_at = now
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        await asyncio.shield(self._loading)

    def _load(self) -> None:
        self.start_replica()
        with suppress(CacheUnavailable):
            self._replica.store.notify_replicas()  # then this process refills Redis


def _parts(
    numbers: Replica, contacts: Replica, entries: list[Entry]
) -> list[tuple[Replica, list[Entry]]]:
    """What each replica keeps of a snapshot."""
    return [(numbers, numbers_in(entries)), (contacts, contacts_in(entries))]


class SnapshotFollower:
    """Keeps the replica in sync with the database, where there is no Redis. Call `sync` from one
    thread at a time."""

    def __init__(
        self, replica: Replica, snapshots: Snapshots, overrides: Overrides, contacts: Replica
    ) -> None:
        self._replica, self._contacts = replica, contacts
        self._snapshots, self._overrides = snapshots, overrides
        self._loaded: tuple[int, int] | None = None  # the snapshot's id, and its confirmed_at
        self._overridden: set[str] = set()

    def sync(self) -> None:
        try:
            newest = self._snapshots.newest()
            if newest and self._loaded != (newest.pk, newest.confirmed_at):
                self._load(newest)
            self._load_overrides(newest)
            self._replica.in_sync = True
        except DatabaseError as error:
            if self._replica.in_sync or not self._loaded:
                logger.warning("The database can't be read; memory is served: %s", error)
            self._replica.in_sync = False
        finally:
            close_connection()

    def _load(self, newest: Snapshot) -> None:
        """Also if it was only confirmed: a lookup may have added or changed entries since it was
        loaded, and that may have been undone in Airtable before it was confirmed."""
        entries = list(confirmed_entries_of(newest))
        for replica, part in _parts(self._replica, self._contacts, entries):
            replica.replace_with_snapshot(part, newest.confirmed_at, saved=True)
        if self._loaded is None or self._loaded[0] != newest.pk:
            logger.info("In sync with the database: %s", newest)
        self._loaded = (newest.pk, newest.confirmed_at)

    def _load_overrides(self, newest: Snapshot | None) -> None:
        """A number whose override has ended gets the snapshot's entry back."""
        active = active_overrides()
        overridden = {each.number for each in active}
        if ended := self._overridden - overridden:
            self._replica.forget(ended)
            for entry in entries_of(newest) if newest else ():
                if entry.number in ended:
                    self._replica.keep(entry, saved=True)
        self._overrides.apply_to_replica(active)
        self._overridden = overridden
