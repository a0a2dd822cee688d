"""One refresh, or rollback, at a time, on all machines together."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airtable_sync.cache import database
from airtable_sync.cache.publish_target import SharedCopy, shared_copy
from airtable_sync.cache.redis_store import REFRESH_LEASE, StoreUnavailable

LEASE_SECONDS = 60  # a killed refresh gives up within it


class Busy(Exception):
    """Another refresh is running."""


@contextmanager
def alone() -> Iterator[SharedCopy]:
    """The shared copy, under a lease that is renewed while the work goes on, however long one page
    may take. Raises Busy, and StoreUnavailable."""
    copy, token, ended = shared_copy(), secrets.token_hex(8), threading.Event()
    if not copy.add(REFRESH_LEASE, token, LEASE_SECONDS):
        raise Busy("Another refresh is running, or was killed less than a minute ago.")

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / 4):
            with suppress(StoreUnavailable):
                copy.renew(REFRESH_LEASE, token, LEASE_SECONDS)
        database.release()

    thread = threading.Thread(target=renew, name="refresh-lease", daemon=True)
    thread.start()
    try:
        yield copy
    finally:
        ended.set()
        thread.join()
        with suppress(StoreUnavailable):  # it ends by itself
            copy.release(REFRESH_LEASE, token)
