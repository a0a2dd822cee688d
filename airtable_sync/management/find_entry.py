"""Finds what a call of a number gets: the same sources, in the same order and with the same time
limits as a call. A command has no memory; while Redis is down, it reads what a process that starts
then would have in memory: the database's overrides and newest snapshot."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from airtable_sync.cache.contacts import first_known
from airtable_sync.cache.database import ignore_database_errors
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.lifetimes import Lifetimes
from airtable_sync.cache.overrides import active_overrides, entry_of
from airtable_sync.cache.snapshots import confirmed_entries_of
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundEntry:
    """`confirmed_at` in ms: when all of Airtable was last read, or confirmed unchanged."""

    entry: Entry
    source: str  # redis, database or airtable
    confirmed_at: int = 0

    @property
    def age_seconds(self) -> float:
        return self.entry.age_seconds(_now(), self.confirmed_at)


def find_entry(used: Services, number: str) -> FoundEntry:
    """Raises AirtableError if no source answers, and DatabaseError where there is no Redis."""
    found, is_redis_down = None, True
    if used.configuration.has_redis:
        try:
            found, is_redis_down = _in_redis(used, number), False
        except CacheUnavailable as error:
            logger.warning("Redis can't be asked: %s", error)
    if is_redis_down:
        found = _in_database(used, number)
    if found and _is_served(used.status_store.lifetimes, found):
        return found
    [entry] = used.guarded_lookup.look_up([number])
    return FoundEntry(entry, "airtable")


def find_contact(used: Services, keys: Sequence[str]) -> Entry | None:
    """Raises DatabaseError where there is no Redis, or if it does not answer either."""
    if used.configuration.has_redis:
        try:
            return first_known(used.contact_store.read_many(keys), keys)
        except CacheUnavailable as error:
            logger.warning("Redis can't be asked for the caller: %s", error)
    return first_known(used.snapshots.newest_entries(), keys)


def _in_redis(used: Services, number: str) -> FoundEntry | None:
    """Raises CacheUnavailable."""
    entry, confirmed_at = used.status_store.read(number), used.status_store.watched().confirmed_at
    return FoundEntry(entry, "redis", confirmed_at) if entry else None


def _in_database(used: Services, number: str) -> FoundEntry | None:
    """Raises DatabaseError where there is no Redis: then it is the shared copy."""
    with ignore_database_errors("reading the newest snapshot", when=used.configuration.has_redis):
        override = next((each for each in active_overrides() if each.number == number), None)
        if override:
            return FoundEntry(entry_of(override), "database")
        newest = used.snapshots.newest()
        entries = confirmed_entries_of(newest) if newest else ()
        entry = next((each for each in entries if each.number == number), None)
        return FoundEntry(entry, "database") if entry else None
    return None


def _is_served(lifetimes: Lifetimes, found: FoundEntry) -> bool:
    """A call gets a fresh entry, or a known one that may be served while it is renewed."""
    entry, now, confirmed_at = found.entry, _now(), found.confirmed_at
    is_fresh = lifetimes.is_fresh(entry, now, confirmed_at)
    return is_fresh or lifetimes.is_servable(entry, now, confirmed_at)


def _now() -> int:
    return int(time.time() * 1000)
