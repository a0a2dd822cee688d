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
        self._kept_at, self._kept_at_redis = clock(), target.now()
        self._were_lost = False

    def keep(self) -> None:
        """Extend all tombstones if it is time. Call it often."""
        with suppress(CacheUnavailable):  # tried again soon
            self.compare_clocks()
            if self._clock() - self._kept_at < self._target.tombstone_seconds / 3:
                return
            started, started_redis = self._clock(), self._target.now()
            self._target.keep_tombstones()
            self._kept_at, self._kept_at_redis = started, started_redis

    def compare_clocks(self) -> None:
        """This machine's clock stands still while it is suspended; Redis' goes on. Raises
        CacheUnavailable."""
        self._look_at_the_clock()
        if self._target.now() - self._kept_at_redis > self._target.tombstone_seconds * 1000:
            self._were_lost = True

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
        if self._clock() - self._kept_at > self._target.tombstone_seconds:
            self._were_lost = True
