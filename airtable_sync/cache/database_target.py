"""Publishing to the database, where there is no Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from airtable_sync.cache.contacts import contacts_in
from airtable_sync.cache.database import close_connection
from airtable_sync.cache.publish_target import Publication, compare_entries, compare_removals
from airtable_sync.cache.redis_store import RedisStore, WriteResult, clock_now
from airtable_sync.cache.snapshots import Snapshots, confirmed_entries_of, entries_of
from airtable_sync.models import Lease
from airtable_sync.redis_client.connection import CacheUnavailable


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

    def count_contacts(self) -> int:
        with _translated_errors():
            newest = self._snapshots.newest()
            return len(contacts_in(entries_of(newest))) if newest else 0

    def compare(self, publication: Publication) -> Iterator[WriteResult]:
        with _translated_errors():
            newest = self._snapshots.newest()
            entries = confirmed_entries_of(newest) if newest else ()
            existing = {entry.number: entry for entry in entries}
        numbers = publication.numbers()
        yield from compare_entries(publication.entries, existing)
        removed = [entry for number, entry in existing.items() if number not in numbers]
        yield from compare_removals(publication, removed)

    publish = compare

    def pause(self, run_id: int) -> None:
        """Nothing to do: `rollback.py` reads the pause from the run in the database."""

    def is_paused(self) -> bool:
        return False

    def resume(self) -> None:
        """Nothing to do: `rollback.py` reads the pause from the run in the database."""


@contextmanager
def _translated_errors() -> Iterator[None]:
    close_connection()  # a refresh takes long; the last connection may be broken
    try:
        yield
    except DatabaseError as error:
        raise CacheUnavailable(f"The database: {error}") from error
