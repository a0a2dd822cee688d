"""The replica and the database's newest good set: what a process starts from when Redis has nothing
to offer, and what it follows where there is no Redis at all."""

import asyncio
import logging
import time
from contextlib import suppress

from django.db import DatabaseError

from airtable_sync.cache import database, overrides, snapshots
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.cache.replica import Replica
from airtable_sync.models import Snapshot

logger = logging.getLogger(__name__)

FOLLOWED_EVERY_SECONDS = 30.0
AGAIN_SECONDS = 30.0


def start_from_it(replica: Replica) -> None:
    """Serve the newest good set, as stale, until something newer is known. In a thread."""
    try:
        newest = snapshots.newest()
        if newest:
            replica.start_from(snapshots.entries_of(newest), newest.confirmed_at)
            overrides.keep(replica, overrides.active())
            logger.warning("Started from the database's last good set: %s", newest)
    except DatabaseError as error:
        logger.warning("The database's last good set can't be read: %s", error)
    finally:
        database.release()


class LastResort:
    """The database's set for a process that has none: Redis was emptied, and Airtable is down."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._loading: asyncio.Future[None] | None = None
        self._loaded_at = float("-inf")

    async def __call__(self) -> None:
        """Once in a while, for all who ask meanwhile. Await it with a time limit."""
        now = time.monotonic()
        if self._loading is None or now - self._loaded_at > AGAIN_SECONDS:
            self._loaded_at = now
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        await asyncio.shield(self._loading)

    def _load(self) -> None:
        start_from_it(self._replica)
        with suppress(CacheUnavailable):
            self._replica.store.nudge()  # which gives Redis what is here, for the others


class Follower:
    """Keeps the replica in step with the database. In a thread, one at a time."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._taken: tuple[int, int] | None = None  # which set, and when it was confirmed
        self._pins: set[str] = set()  # the numbers with one

    def sync(self) -> None:
        try:
            newest = snapshots.newest()
            if newest and self._taken != (newest.pk, newest.confirmed_at):
                self._take(newest)
            self._take_pins(newest)
            self.replica.in_sync = True
        except DatabaseError as error:
            if self.replica.in_sync or not self._taken:
                logger.warning("The database can't be read; what is here is served: %s", error)
            self.replica.in_sync = False
        finally:
            database.release()

    def _take(self, newest: Snapshot) -> None:
        if self._taken is None or self._taken[0] != newest.pk:
            self.replica.take_set(snapshots.entries_of(newest), newest.read_at)
            logger.info("In step with the database: %s", newest)
        self.replica.confirmed_at = newest.confirmed_at
        self._taken = (newest.pk, newest.confirmed_at)

    def _take_pins(self, newest: Snapshot | None) -> None:
        """Numbers whose pin was ended get back what the set says of them."""
        active = overrides.active()
        pinned = {each.number for each in active}
        if ended := self._pins - pinned:
            self.replica.forget(ended)
            entries = snapshots.entries_of(newest) if newest else ()
            for entry in entries:
                if entry.number in ended:
                    self.replica.keep(entry, saved=True)
        overrides.keep(self.replica, active)
        self._pins = pinned
