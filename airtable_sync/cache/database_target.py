"""Publishing to the database, where there is no Redis."""

import heapq
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.database import close_connection
from airtable_sync.cache.entry import EncodedEntry, Entry
from airtable_sync.cache.publish_target import Publication, compare_entries, compare_removals
from airtable_sync.cache.redis_store import RedisStore, WriteResult, clock_now
from airtable_sync.cache.replica_entries import CLOCK_TOLERANCE_MS
from airtable_sync.cache.snapshots import Snapshots, confirmed_entries_of, entries_of
from airtable_sync.models import Lease
from airtable_sync.redis_client.connection import CacheUnavailable

_Either = EncodedEntry | Entry


class DatabaseTarget:
    """Saving the snapshot publishes it. This only computes what that means for each number."""

    def __init__(self, snapshots: Snapshots, store: RedisStore) -> None:
        self._snapshots = snapshots
        self._store = store

    tombstone_seconds = math.inf

    def keep_tombstones(self) -> None:
        """Nothing to do: a snapshot has no tombstones."""

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

    def count_contacts(self) -> int:
        with _translated_errors():
            newest = self._snapshots.newest()
            if newest and newest.contacts is None:
                return sum(is_contact(each.number) for each in entries_of(newest))
        return (newest.contacts or 0) if newest else 0

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        """Both sets are sorted by number: a comparison of two streams."""
        with _translated_errors():
            newest = self._snapshots.newest()
            if newest:
                newest.refresh_from_db(fields=["content"])  # now, while errors are translated
        before: Iterable[_Either] = confirmed_entries_of(newest) if newest else ()
        new: Iterable[_Either] = publication.entries
        both = heapq.merge(new, before, key=_number)
        latest = self.now() + CLOCK_TOLERANCE_MS
        for _, same in groupby(both, key=_number):
            yield from _compare(publication, list(same), latest)

    publish = compare

    def pause(self, run_id: int) -> None:
        """Nothing to do: `rollback.py` reads the pause from the run in the database."""

    def is_paused(self) -> bool:
        return False

    def resume(self) -> None:
        """Nothing to do: `rollback.py` reads the pause from the run in the database."""


def _number(entry: _Either) -> str:
    return entry.number


def _compare(publication: Publication, same: list[_Either], latest: int) -> Iterator[WriteResult]:
    """`same` are a number's entries: the new one, the one before, or both."""
    new = [each for each in same if isinstance(each, EncodedEntry)]
    before = [each for each in same if isinstance(each, Entry)]
    if new:
        return compare_entries(new, {each.number: each for each in before}, latest)
    return compare_removals(publication, before, latest)


@contextmanager
def _translated_errors() -> Iterator[None]:
    close_connection()  # a refresh takes long; the last connection may be broken
    try:
        yield
    except DatabaseError as error:
        raise CacheUnavailable(f"The database: {error}") from error
