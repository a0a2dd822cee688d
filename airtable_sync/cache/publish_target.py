"""Where a refresh publishes: Redis or, where there is no Redis, the database."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from airtable_sync.cache.database import close_connection
from airtable_sync.cache.entry import Entry, Origin
from airtable_sync.cache.keys import PAUSED_BY, SET_BYTES
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.redis_publication import RedisPublication
from airtable_sync.cache.redis_store import RedisStore, WriteResult, clock_now
from airtable_sync.cache.snapshots import Snapshots, entries_of
from airtable_sync.models import Lease
from airtable_sync.redis_client.connection import CacheUnavailable

# What Redis needs for an entry beside its value: the key, its expiry, its places in the index and
# in the set of known numbers. Measured: 260 to 275 bytes (Valkey 9).
ENTRY_OVERHEAD_BYTES = 300
EVICTION_REMEDY = (
    "Set its policy (maxmemory-policy) to noeviction, and give it more memory: "
    "`manage.py check_cache` says how much. Meanwhile calls are answered from memory."
)


@dataclass(frozen=True)
class Publication:
    """The complete set of known entries, as of `read_at` (ms). `fingerprint` is the mapping's; ""
    for a rollback."""

    entries: Sequence[Entry]
    read_at: int
    origin: Origin
    fingerprint: str = ""

    def numbers(self) -> set[str]:
        return {entry.number for entry in self.entries}

    def removals(self, removed: Sequence[Entry]) -> list[Entry]:
        return [Entry(each.number, None, self.read_at, self.origin) for each in removed]


class PublishTarget(Protocol):
    """Every method raises CacheUnavailable."""

    def now(self) -> int:
        """Milliseconds by the clock that all processes share."""
        ...

    def acquire_lease(self, name: str, token: str, seconds: int) -> bool: ...

    def renew_lease(self, name: str, token: str, seconds: int) -> None: ...

    def release_lease(self, name: str, token: str) -> None: ...

    def count_published(self) -> int:
        """How many numbers the last publication had."""
        ...

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        """What `publish` would do."""
        ...

    def publish(self, publication: Publication) -> Iterator[WriteResult]:
        """Publish while iterated. The newer reading of each number wins. Raises EntriesEvicted at
        the end."""
        ...

    def pause(self, run_id: int) -> None:
        """Pause publishing: nothing replaces what this run, a rollback, publishes."""
        ...

    def is_paused(self) -> bool: ...

    def resume(self) -> None: ...


class EntriesEvicted(CacheUnavailable):
    """Redis removed entries while they were published. Replicas are not told that the set is
    complete: what is missing would count as removed. The message says what to do."""


class RedisTarget:
    def __init__(self, store: RedisStore) -> None:
        self._store = store
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
        yield from _compare_entries(publication.entries, existing)
        yield from _compare_removals(publication, removed)

    def publish(self, publication: Publication) -> Iterator[WriteResult]:
        token = self._publication.begin()
        removed, expired = self._not_in(publication)
        written, size = [], 0
        entries = _while_tombstones_last(publication.entries, self.now() - publication.read_at)
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


class DatabaseTarget:
    """Saving the snapshot publishes it. This only computes what that means for each number."""

    def __init__(self, snapshots: Snapshots, store: RedisStore) -> None:
        self._snapshots = snapshots
        self._store = store

    def now(self) -> int:
        return clock_now(self._store)

    def acquire_lease(self, name: str, token: str, seconds: int) -> bool:
        now = timezone.now()
        with _translated_errors():
            Lease.objects.filter(name=name, expires_at__lt=now).delete()
            try:
                with transaction.atomic():
                    expires_at = now + timedelta(seconds=seconds)
                    Lease.objects.create(name=name, token=token, expires_at=expires_at)
            except IntegrityError:
                return False
        return True

    def renew_lease(self, name: str, token: str, seconds: int) -> None:
        expires_at = timezone.now() + timedelta(seconds=seconds)
        with _translated_errors():
            Lease.objects.filter(name=name, token=token).update(expires_at=expires_at)

    def release_lease(self, name: str, token: str) -> None:
        with _translated_errors():
            Lease.objects.filter(name=name, token=token).delete()

    def count_published(self) -> int:
        with _translated_errors():
            newest = self._snapshots.newest()
        return newest.numbers if newest else 0

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        with _translated_errors():
            newest = self._snapshots.newest()
            existing = {
                entry.number: replace(entry, read_at=max(entry.read_at, snapshot.confirmed_at))
                for snapshot in ([newest] if newest else [])
                for entry in entries_of(snapshot)
            }
        numbers = publication.numbers()
        yield from _compare_entries(publication.entries, existing)
        removed = [entry for number, entry in existing.items() if number not in numbers]
        yield from _compare_removals(publication, removed)

    publish = compare

    def pause(self, run_id: int) -> None:
        """Nothing to do: `rollback.py` reads the pause from the run in the database."""

    def is_paused(self) -> bool:
        return False

    def resume(self) -> None:
        """Nothing to do: `rollback.py` reads the pause from the run in the database."""


def _compare_entries(
    entries: Sequence[Entry], existing: Mapping[str, Entry]
) -> Iterator[WriteResult]:
    """The rules of `publish.lua`, without overrides and pauses."""
    for entry in entries:
        old = existing.get(entry.number)
        if old and old.read_at > entry.read_at:
            yield WriteResult(entry, "older", None)
        elif not old or not old.is_known:
            yield WriteResult(entry, "added", None)
        elif old.digest() == entry.digest():
            yield WriteResult(entry, "unchanged", None)
        else:
            yield WriteResult(entry, "changed", old)


def _compare_removals(publication: Publication, removed: Sequence[Entry]) -> Iterator[WriteResult]:
    for removal, before in zip(publication.removals(removed), removed, strict=True):
        if before.read_at <= removal.read_at:
            yield WriteResult(removal, "removed", before)


def _while_tombstones_last(entries: Sequence[Entry], age_ms: int) -> Iterator[Entry]:
    """The entries, each shortly before it is written. Raises CacheUnavailable when the reading, now
    `age_ms` old, is older than the tombstones: it could bring a removed number back. The process
    may have been stopped meanwhile."""
    started = time.monotonic()
    for entry in entries:
        if age_ms / 1000 + time.monotonic() - started > TOMBSTONE_SECONDS:
            raise CacheUnavailable(
                "Publishing took so long that what was read may be outdated. Refresh again."
            )
        yield entry


def _run_to_end(results: Iterator[WriteResult]) -> None:
    for _ in results:
        pass


@contextmanager
def _translated_errors() -> Iterator[None]:
    close_connection()  # a refresh takes long; the last connection may be broken
    try:
        yield
    except DatabaseError as error:
        raise CacheUnavailable(f"The database: {error}") from error
