"""Where a refresh publishes: Redis (`redis_target.py`) or, where there is no Redis, the database
(`database_target.py`)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from airtable_sync.cache.entry import Entry, Origin
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.redis_client.connection import CacheUnavailable


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


def compare_removals(publication: Publication, removed: Sequence[Entry]) -> Iterator[WriteResult]:
    for removal, before in zip(publication.removals(removed), removed, strict=True):
        if before.read_at <= removal.read_at:
            yield WriteResult(removal, "removed", before)
