"""The refresh lock: one refresh or rollback at a time, over all machines."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airtable_sync.cache.database import close_connection
from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.cache.publish_target import PublishTarget
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.tombstones import TombstoneKeeper

LOCK_SECONDS = 60  # after a kill, the lock expires within this time

RENEW_SECONDS = LOCK_SECONDS / 4


class RefreshInProgress(Exception):
    """Another refresh is running."""


@contextmanager
def refresh_lock(target: PublishTarget) -> Iterator[TombstoneKeeper]:
    """Hold the lock, and renew it however long the work takes; also the tombstones. Raises
    RefreshInProgress and CacheUnavailable."""
    tombstones = TombstoneKeeper(target)
    token, ended = secrets.token_hex(8), threading.Event()
    if not target.acquire_lease(REFRESH_LOCK, token, LOCK_SECONDS):
        raise RefreshInProgress("Another refresh is running, or was killed less than a minute ago.")

    def renew() -> None:
        while not ended.wait(RENEW_SECONDS):
            with suppress(CacheUnavailable):
                target.renew_lease(REFRESH_LOCK, token, LOCK_SECONDS)
            tombstones.keep()
        close_connection()

    thread = threading.Thread(target=renew, name="refresh-lock", daemon=True)
    thread.start()
    try:
        yield tombstones
    finally:
        ended.set()
        thread.join()
        with suppress(CacheUnavailable):  # it expires by itself
            target.release_lease(REFRESH_LOCK, token)
