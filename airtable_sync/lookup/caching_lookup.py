"""Looks numbers up and writes what was found to Redis."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import Outcome, RedisStore
from airtable_sync.lookup.guarded_lookup import GuardedLookup
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)


class CachingLookup:
    def __init__(self, lookup: GuardedLookup, store: RedisStore, *, has_redis: bool) -> None:
        self._lookup = lookup
        self._store = store
        self._has_redis = has_redis

    def look_up(self, numbers: list[str], deadline: float) -> tuple[list[Entry], bool]:
        """The entries, and whether Redis was written. Blocks. Raises AirtableError."""
        entries = self._lookup.look_up(numbers, deadline)
        if not self._has_redis:
            return entries, True
        try:
            outcomes = self._store.write(entries, announce_unchanged=True)
        except CacheUnavailable as error:
            logger.warning("The lookup's result was not written to Redis: %s", error)
            return entries, False
        for number, outcome in outcomes.items():
            if outcome in ("added", "changed", "unchanged"):
                logger.info("Cached data for %s in Redis", number)
        return self._with_newer(entries, outcomes), True

    def _with_newer(self, entries: list[Entry], outcomes: Mapping[str, Outcome]) -> list[Entry]:
        """Where Redis has a newer entry, that is the answer. If it has none, a newer full refresh
        did not find the number."""
        older = [number for number, outcome in outcomes.items() if outcome == "older"]
        try:
            newer = {entry.number: entry for entry in self._store.read_many(older)}
        except CacheUnavailable:
            return entries
        removed = {e.number: replace(e, config=None) for e in entries if e.number in older}
        return [{**removed, **newer}.get(entry.number, entry) for entry in entries]
