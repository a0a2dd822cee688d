"""Publishing to Redis: complete or not at all, as replicas see it."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.keys import PAUSED_BY, SET_BYTES
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.publish_target import (
    EntriesEvicted,
    Publication,
    compare_entries,
    compare_removals,
)
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.cache.redis_store import RedisStore, WriteResult
from airtable_sync.redis_client.connection import CacheUnavailable

# What Redis needs for an entry beside its value: the key, its expiry, its places in the index and
# in the set of known numbers. Measured: 260 to 275 bytes (Valkey 9).
ENTRY_OVERHEAD_BYTES = 300
EVICTION_REMEDY = (
    "Set its policy (maxmemory-policy) to noeviction, and give it more memory: "
    "`manage.py check_cache` says how much. Until then, calls are answered from memory."
)


class RedisTarget:
    def __init__(self, store: RedisStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._publication = RedisPublication(store)
        self.now = store.now
        self.acquire_lease = store.acquire_lease
        self.renew_lease = store.renew_lease
        self.release_lease = store.release_lease

    def count_published(self) -> int:
        return self._store.count_known()

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        removed, _ = self._not_in(publication)
        numbers = (entry.number for entry in publication.entries)
        existing = {entry.number: entry for entry in self._store.read_many(numbers)}
        yield from compare_entries(publication.entries, existing)
        yield from compare_removals(publication, removed)

    def publish(self, publication: Publication) -> Iterator[WriteResult]:
        token = self._publication.begin()
        removed, expired = self._not_in(publication)
        written, size = [], 0
        age = (self.now() - publication.read_at) / 1000
        entries = _while_tombstones_last(publication.entries, age, self._clock)
        for result in self._store.write_silently(entries):
            if result.outcome != "older":
                written.append(result.entry.number)
            size += result.size + ENTRY_OVERHEAD_BYTES
            yield result
        self._store.set(SET_BYTES, size)
        yield from self._store.write_silently(publication.removals(removed))
        if self._count_missing(written) or not self._complete(publication, token):
            self._publish_again(publication)
        # While this was publishing, a replica may have refilled an emptied Redis with a number that
        # Airtable does not have any more. After `complete` replicas don't do that.
        back = [e for e in self._not_in(publication)[0] if e.read_at < publication.read_at]
        _run_to_end(self._store.write_silently(publication.removals(back)))
        self._publication.forget_expired(expired)

    def _publish_again(self, publication: Publication) -> None:
        """Redis lost keys: replicas would take the missing numbers for removed. It was emptied, or
        it is too small: then this does not help either."""
        token = self._publication.begin()
        removed, _ = self._not_in(publication)
        entries = [*publication.entries, *publication.removals(removed)]
        results = list(self._store.write_silently(entries))
        written = [each.entry.number for each in results if each.outcome != "older"]
        if missing := self._count_missing(written):
            raise self._evicted(
                f"{missing:,} of {len(written):,} entries are missing in Redis right after they "
                "were published"
            )
        if not self._complete(publication, token):
            raise self._evicted("Redis lost keys repeatedly while the refresh was publishing")

    def _complete(self, publication: Publication, token: str) -> bool:
        return self._publication.complete(publication.read_at, token, publication.fingerprint)

    def _count_missing(self, written: Collection[str]) -> int:
        return len(written) - self._store.count_existing(written)

    def _evicted(self, what: str) -> EntriesEvicted:
        info = self._store.server_info()
        if info.may_evict:
            why = f": its policy {info.policy} removes entries when the memory is full"
        else:
            why = "" if info.policy else ", perhaps because its memory is full"
        memory = f" ({info.memory()})" if info.memory() else ""
        return EntriesEvicted(f"{what}{why}{memory}. {EVICTION_REMEDY}")

    def pause(self, run_id: int) -> None:
        self._store.set(PAUSED_BY, run_id, None)

    def is_paused(self) -> bool:
        return self._store.exists(PAUSED_BY)

    def resume(self) -> None:
        self._store.delete(PAUSED_BY)

    def _not_in(self, publication: Publication) -> tuple[list[Entry], list[str]]:
        """Known entries of other numbers, and indexed numbers whose entries have expired."""
        others = sorted(set(self._store.indexed_numbers()) - publication.numbers())
        existing = {entry.number: entry for entry in self._store.read_many(others)}
        known = [entry for entry in existing.values() if entry.is_known]
        return known, [number for number in others if number not in existing]


def _while_tombstones_last(
    entries: Sequence[Entry], age_seconds: float, clock: Callable[[], float]
) -> Iterator[Entry]:
    """The entries, each shortly before it is written. Raises CacheUnavailable when the reading, now
    so old, is older than the tombstones: it could bring a removed number back. This happens if the
    process was stopped for a while."""
    started = clock()
    for entry in entries:
        if age_seconds + clock() - started > TOMBSTONE_SECONDS:
            raise CacheUnavailable(
                "Publishing took so long that what was read may be outdated. Refresh again."
            )
        yield entry


def _run_to_end(results: Iterator[WriteResult]) -> None:
    for _ in results:
        pass
