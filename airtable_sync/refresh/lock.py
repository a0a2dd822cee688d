"""One refresh, or rollback, at a time, on all machines together."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airtable_sync.cache import database
from airtable_sync.cache.publish_target import PublishTarget, publish_target
from airtable_sync.cache.redis_store import REFRESH_LOCK, CacheUnavailable

LEASE_SECONDS = 60  # a killed refresh gives up within it


class RefreshInProgress(Exception):
    """Another refresh is running."""


@contextmanager
def alone() -> Iterator[PublishTarget]:
    """The shared copy, under a lease that is renewed while the work goes on, however long one page
    may take. Raises RefreshInProgress, and CacheUnavailable."""
    copy, token, ended = publish_target(), secrets.token_hex(8), threading.Event()
    if not copy.add(REFRESH_LOCK, token, LEASE_SECONDS):
        raise RefreshInProgress("Another refresh is running, or was killed less than a minute ago.")

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / 4):
            with suppress(CacheUnavailable):
                copy.renew(REFRESH_LOCK, token, LEASE_SECONDS)
        database.release()

    thread = threading.Thread(target=renew, name="refresh-lease", daemon=True)
    thread.start()
    try:
        yield copy
    finally:
        ended.set()
        thread.join()
        with suppress(CacheUnavailable):  # it ends by itself
            copy.release(REFRESH_LOCK, token)
