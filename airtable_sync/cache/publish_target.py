"""Where a refresh publishes: Redis (`redis_target.py`) or, where there is no Redis, the database
(`database_target.py`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from airtable_sync.cache.entry import EncodedEntry, Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.redis_client.connection import CacheUnavailable


@dataclass(frozen=True)
class Publication:
    """The complete set of known entries. `fingerprint` is the mapping's; "" for a rollback.
    `require_valid` is called before each write: it raises CacheUnavailable when the set may be
    outdated by now."""

    entries: EntrySet
    fingerprint: str = ""
    require_valid: Callable[[], None] = lambda: None

    @property
    def read_at(self) -> int:
        return self.entries.read_at

    def removal(self, number: str) -> EncodedEntry:
        return Entry(number, None, self.read_at, self.entries.origin).encoded()


class PublishTarget(Protocol):
    """Every method raises CacheUnavailable."""

    @property
    def tombstone_seconds(self) -> float:
        """How long a removed number is remembered."""
        ...

    def keep_tombstones(self) -> None:
        """Remember all removed numbers for that long from now on."""
        ...

    def now(self) -> int:
        """Milliseconds by the clock that all processes share."""
        ...

    def acquire_lease(self, name: str, token: str, seconds: int) -> bool: ...

    def renew_lease(self, name: str, token: str, seconds: int) -> None: ...

    def release_lease(self, name: str, token: str) -> None: ...

    def count_published(self) -> int:
        """How many numbers the last publication had."""
        ...

    def count_contacts(self) -> int:
        """How many contacts the last publication had, counted once for each client."""
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


def compare_entries(
    entries: Iterable[EncodedEntry], existing: Mapping[str, Entry], latest: int
) -> Iterator[WriteResult]:
    """The rules of `publish.lua`, without overrides and pauses. An entry that was read after
    `latest` (ms) is from a clock that was ahead: it counts as older."""
    for entry in entries:
        old = existing.get(entry.number)
        if old and entry.read_at < old.read_at <= latest:
            yield WriteResult(entry, "older", None)
        elif not old or not old.is_known:
            yield WriteResult(entry, "added", None)
        elif old.digest() == entry.digest:
            yield WriteResult(entry, "unchanged", None)
        else:
            yield WriteResult(entry, "changed", old)


def compare_removals(
    publication: Publication, removed: Iterable[Entry], latest: int
) -> Iterator[WriteResult]:
    """`removed` are known entries that the publication does not have. `latest`: as above."""
    for before in removed:
        if not publication.read_at < before.read_at <= latest:
            yield WriteResult(publication.removal(before.number), "removed", before)
