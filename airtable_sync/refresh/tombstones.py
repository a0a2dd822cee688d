"""Removed numbers stay in Redis as tombstones for half an hour: an older reading can't bring them
back. A reading may take longer; while it runs, no tombstone expires."""

import time
from collections.abc import Callable
from contextlib import suppress

from airtable_sync.cache.publish_target import PublishTarget
from airtable_sync.redis_client.connection import CacheUnavailable


class TombstoneKeeper:
    """For one refresh, from its start. `keep` is called by another thread."""

    def __init__(self, target: PublishTarget, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._kept_at = clock()
        self._were_lost = False

    def keep(self) -> None:
        """Extend all tombstones if it is time. Call it often."""
        self._look_at_the_clock()
        if self._clock() - self._kept_at < self._target.tombstone_seconds / 3:
            return
        started = self._clock()
        with suppress(CacheUnavailable):  # tried again soon
            self._target.keep_tombstones()
            self._kept_at = started

    def require(self) -> None:
        """Raises CacheUnavailable if tombstones may have expired since the start: this process was
        stopped for a while, or could not reach Redis."""
        self._look_at_the_clock()
        if self._were_lost:
            raise CacheUnavailable(
                "The refresh was interrupted for so long that what was read may be outdated. "
                "Refresh again."
            )

    def _look_at_the_clock(self) -> None:
        age = self._clock() - self._kept_at
        self._were_lost = self._were_lost or age > self._target.tombstone_seconds
