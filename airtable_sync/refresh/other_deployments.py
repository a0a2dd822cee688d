"""Two deployments with different mappings must not publish into the same keys: each refresh would
remove or change what the other one published."""

import logging
import time
from collections.abc import Iterable

from airtable_sync.cache.processes import (
    VALID_SECONDS,
    Process,
    forget_ended_processes,
    live_processes,
)
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)


class OtherDeployments:
    """The live processes that use the same keys, with another mapping or other TO_NUMBERS.
    Without `store` there is no Redis, and so no other deployment."""

    # A rolling deploy ends within two minutes. A killed process counts as live for VALID_SECONDS.
    WAIT_SECONDS = VALID_SECONDS + 30.0
    PAUSE_SECONDS = 2.0

    def __init__(self, store: RedisStore | None, active_mapping: ActiveMapping) -> None:
        self._store = store
        self._active_mapping = active_mapping

    def live(self) -> list[Process]:
        """Raises CacheUnavailable."""
        _, own = self._active_mapping.description_and_fingerprint()
        return with_another_mapping(live_processes(self._store) if self._store else [], own)

    def reject_if_live(self, *, may_wait: bool) -> None:
        """Wait until they have ended, as in a rolling deploy. Raises RefreshRejected if they do
        not, and CacheUnavailable."""
        if self._store:
            forget_ended_processes(self._store)
        until = time.monotonic() + (self.WAIT_SECONDS if may_wait else 0.0)
        others = self.live()
        if others and may_wait:
            logger.warning(
                "The refresh waits, up to %.0f s, for processes with another mapping: %s",
                self.WAIT_SECONDS,
                description(others),
            )
        while others and time.monotonic() < until:
            time.sleep(self.PAUSE_SECONDS)
            others = self.live()
        if others:
            raise RefreshRejected(f"{description(others)}. {REMEDY}")


REMEDY = (
    "If that is another deployment, give each its own CACHE_NAMESPACE. If it is this one before a "
    "change of the mapping, restart these processes."
)


def with_another_mapping(processes: Iterable[Process], fingerprint: str) -> list[Process]:
    """An empty fingerprint is of a mapping that can't be used: such a process writes nothing, and
    with one nothing can be compared."""
    return [each for each in processes if fingerprint and each.fingerprint not in ("", fingerprint)]


def description(others: list[Process]) -> str:
    """A sentence without its full stop."""
    shown = "; ".join(str(each) for each in others[:3])
    more = f"; and {len(others) - 3} more" if len(others) > 3 else ""
    return f"Another mapping is in use with the same keys in Redis ({shown}{more})"
