"""Publishing to Redis: complete or not at all, as replicas see it."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from airtable_sync.cache.chunks import chunks
from airtable_sync.cache.entry import EncodedEntry, Entry
from airtable_sync.cache.keys import PAUSED_BY, SET_BYTES
from airtable_sync.cache.publish_target import (
    EntriesEvicted,
    Publication,
    compare_entries,
    compare_removals,
)
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.cache.redis_store import RedisStore, WriteResult
from airtable_sync.cache.replica_entries import CLOCK_TOLERANCE_MS

# What Redis needs for an entry beside its value: the key, its expiry, its places in the index and
# in the set of known numbers. Measured: 260 to 275 bytes (Valkey 9).
ENTRY_OVERHEAD_BYTES = 300
EVICTION_REMEDY = (
    "Set its policy (maxmemory-policy) to noeviction, and give it more memory: "
    "`manage.py check_cache` says how much. Until then, calls are answered from memory."
)


class RedisTarget:
    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._publication = RedisPublication(store)
        self.tombstone_seconds = store.lifetimes.tombstone_seconds
        self.keep_tombstones = self._publication.keep_tombstones
        self.now = store.now
        self.acquire_lease = store.acquire_lease
        self.renew_lease = store.renew_lease
        self.release_lease = store.release_lease

    def count_published(self) -> int:
        return self._store.count_known()

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        latest = self.now() + CLOCK_TOLERANCE_MS
        for chunk in chunks(publication.entries):
            existing = {e.number: e for e in self._store.read_many(each.number for each in chunk)}
            yield from compare_entries(chunk, existing, latest)
        numbers = set(publication.entries.numbers())
        yield from compare_removals(publication, self._known_others(numbers), latest)

    def publish(self, publication: Publication) -> Iterator[WriteResult]:
        token = self._publication.begin()
        numbers = set(publication.entries.numbers())
        older, size = set[str](), 0  # numbers of which Redis has a newer entry
        for result in self._store.write_silently(_while_valid(publication)):
            if result.outcome == "older":
                older.add(result.entry.number)
            size += len(result.entry.value) + ENTRY_OVERHEAD_BYTES
            yield result
        self._store.set(SET_BYTES, size)
        yield from self._remove_others(publication, numbers)
        missing = self._count_missing(numbers, older)
        if missing or not self._complete(publication, token):
            self._publish_again(publication, numbers)
        # While this was publishing, a replica may have refilled an emptied Redis with a number that
        # Airtable does not have any more. After `complete` replicas don't do that.
        _run_to_end(self._remove_others(publication, numbers))
        self._forget_expired(numbers)

    def _publish_again(self, publication: Publication, numbers: AbstractSet[str]) -> None:
        """Redis lost keys: replicas would take the missing numbers for removed. It was emptied, or
        it is too small: then this does not help either."""
        token = self._publication.begin()
        written = self._store.write_silently(_while_valid(publication))
        older = {each.entry.number for each in written if each.outcome == "older"}
        _run_to_end(self._remove_others(publication, numbers))
        if missing := self._count_missing(numbers, older):
            raise self._evicted(
                f"{missing:,} of {len(numbers):,} entries are missing in Redis right "
                "after they were published"
            )
        if not self._complete(publication, token):
            raise self._evicted("Redis lost keys repeatedly while the refresh was publishing")

    def _complete(self, publication: Publication, token: str) -> bool:
        return self._publication.complete(publication.read_at, token, publication.fingerprint)

    def _count_missing(self, numbers: AbstractSet[str], older: AbstractSet[str]) -> int:
        """How many entries that were written are not there."""
        written = (each for each in numbers if each not in older)
        return len(numbers) - len(older) - self._store.count_existing(written)

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

    def _remove_others(
        self, publication: Publication, numbers: AbstractSet[str]
    ) -> Iterator[WriteResult]:
        """Remove the entries of other numbers. Of these, too, a newer reading stays."""
        others = self._known_others(numbers)
        removals = (publication.removal(entry.number) for entry in others)
        yield from self._store.write_silently(removals)

    def _known_others(self, numbers: AbstractSet[str]) -> Iterator[Entry]:
        """Known entries of numbers that the set does not have."""
        others = (each for each in self._store.all_indexed() if each not in numbers)
        return (entry for entry in self._store.read_many(others) if entry.is_known)

    def _forget_expired(self, numbers: AbstractSet[str]) -> None:
        """Other numbers in the index of which there is no entry any more."""
        others = (each for each in self._store.all_indexed() if each not in numbers)
        self._publication.forget_expired(others)


def _while_valid(publication: Publication) -> Iterator[EncodedEntry]:
    """The entries, each shortly before it is written. Raises CacheUnavailable when an entry could
    bring a removed number back."""
    for entry in publication.entries:
        publication.require_valid()
        yield entry


def _run_to_end(results: Iterator[WriteResult]) -> None:
    for _ in results:
        pass
