"""Publishing called numbers and contacts to Redis, each to a cache of its own."""

from collections.abc import Iterator
from dataclasses import replace

from airtable_sync.cache.publish_target import Publication
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.cache.redis_target import RedisTarget


class TwoTargets:
    """Leases and the pause are those of the numbers."""

    def __init__(self, numbers: RedisTarget, contacts: RedisTarget) -> None:
        self._numbers, self._contacts = numbers, contacts
        self.now = numbers.now
        self.tombstone_seconds = numbers.tombstone_seconds
        self.acquire_lease = numbers.acquire_lease
        self.renew_lease = numbers.renew_lease
        self.release_lease = numbers.release_lease
        self.count_published = numbers.count_published
        self.count_contacts = contacts.count_published
        self.is_paused = numbers.is_paused

    def keep_tombstones(self) -> None:
        self._numbers.keep_tombstones()
        self._contacts.keep_tombstones()

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        numbers, contacts = _divided(publication)
        yield from self._numbers.compare(numbers)
        if self._has_contacts(contacts):
            yield from self._contacts.compare(contacts)

    def publish(self, publication: Publication) -> Iterator[WriteResult]:
        numbers, contacts = _divided(publication)
        yield from self._numbers.publish(numbers)
        if self._has_contacts(contacts):
            yield from self._contacts.publish(contacts)

    def pause(self, run_id: int) -> None:
        self._contacts.pause(run_id)
        self._numbers.pause(run_id)

    def resume(self) -> None:
        self._contacts.resume()
        self._numbers.resume()

    def _has_contacts(self, contacts: Publication) -> bool:
        """Also if the mapping had [callers] before: then all contacts are removed."""
        return len(contacts.entries) > 0 or self._contacts.count_published() > 0


def _divided(publication: Publication) -> tuple[Publication, Publication]:
    entries = publication.entries
    return (
        replace(publication, entries=entries.of_numbers()),
        replace(publication, entries=entries.of_contacts()),
    )
