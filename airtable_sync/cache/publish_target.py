"""The copy that all processes share, as a refresh sees it: Redis or, where there is none, the
newest good set in the database."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from airtable_sync.cache import database, snapshots
from airtable_sync.cache.entry import Entry, Reader
from airtable_sync.cache.redis_store import (
    HOLD,
    PATIENT,
    CacheUnavailable,
    Store,
    Written,
    clock_now,
)
from airtable_sync.models import Lease
from airtable_sync.refresh import fingerprint


@dataclass(frozen=True)
class Publication:
    """The known entries that shall be all there is, as of `read_at` (ms, see `Entry`)."""

    entries: Sequence[Entry]
    read_at: int
    by: Reader

    def numbers(self) -> set[str]:
        return {entry.number for entry in self.entries}

    def removals(self, gone: Sequence[Entry]) -> list[Entry]:
        return [Entry(each.number, None, self.read_at, self.by) for each in gone]


class PublishTarget(Protocol):
    """Everything here raises CacheUnavailable when the copy can't be reached."""

    def now(self) -> int:
        """Milliseconds, by the clock that all processes agree on."""
        ...

    def add(self, name: str, token: str, seconds: int) -> bool:
        """Take a lease, if nobody holds it."""
        ...

    def renew(self, name: str, token: str, seconds: int) -> None: ...

    def release(self, name: str, token: str) -> None: ...

    def last_numbers(self) -> int:
        """How many numbers the last publication had."""
        ...

    def compare(self, publication: Publication) -> Iterator[Written]:
        """What `publish` would do, without doing it."""
        ...

    def publish(self, publication: Publication) -> Iterator[Written]:
        """Publish while iterated; the newer reading of each number wins."""
        ...

    def hold(self, run: int) -> None:
        """Let nothing replace what this run, a rollback, publishes."""
        ...

    def is_held(self) -> bool: ...

    def release_hold(self) -> None: ...


def publish_target() -> PublishTarget:
    return RedisTarget(PATIENT) if settings.REDIS_URL else DatabaseTarget()


class RedisTarget:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.now, self.add = store.now, store.add
        self.renew, self.release = store.renew, store.release

    def last_numbers(self) -> int:
        return self.store.count()

    def compare(self, publication: Publication) -> Iterator[Written]:
        gone, _ = self._gone(publication)
        numbers = (entry.number for entry in publication.entries)
        existing = {entry.number: entry for entry in self.store.read_many(numbers)}
        yield from _compared(publication.entries, existing)
        yield from _removed(publication, gone)

    def publish(self, publication: Publication) -> Iterator[Written]:
        mark = self.store.begin()
        gone, ended = self._gone(publication)
        yield from self.store.publish(publication.entries)
        yield from self.store.publish(publication.removals(gone))
        if not self.store.completed(publication.read_at, mark, _reader(publication)):
            self._publish_again(publication)
        # A replica may have given an emptied Redis back a number that Airtable no longer has, while
        # this publication went on: from `completed` on, none does.
        back = [e for e in self._gone(publication)[0] if e.read_at < publication.read_at]
        _drain(self.store.publish(publication.removals(back)))
        self.store.forget(ended)

    def _publish_again(self, publication: Publication) -> None:
        """Redis was emptied meanwhile: what it does not have when the publication is complete,
        replicas would take for removed."""
        mark = self.store.begin()
        gone, _ = self._gone(publication)
        _drain(self.store.publish([*publication.entries, *publication.removals(gone)]))
        if not self.store.completed(publication.read_at, mark, _reader(publication)):
            raise CacheUnavailable("Redis is emptied again and again while the set is published.")

    def hold(self, run: int) -> None:
        self.store.remember(HOLD, run, None)

    def is_held(self) -> bool:
        return self.store.is_held(HOLD)

    def release_hold(self) -> None:
        self.store.drop(HOLD)

    def _gone(self, publication: Publication) -> tuple[list[Entry], list[str]]:
        """The known entries of other numbers, and numbers in the index whose entries have ended by
        themselves."""
        others = sorted(set(self.store.numbers()) - publication.numbers())
        existing = {entry.number: entry for entry in self.store.read_many(others)}
        gone = [entry for entry in existing.values() if entry.known]
        return gone, [number for number in others if number not in existing]


def _reader(publication: Publication) -> str:
    return fingerprint.reader() if publication.by == "refresh" else ""


class DatabaseTarget:
    """Publishing is what saving the set does; this tells what that means for each number."""

    def now(self) -> int:
        return clock_now(PATIENT)

    def add(self, name: str, token: str, seconds: int) -> bool:
        now = timezone.now()
        with _translated():
            Lease.objects.filter(name=name, until__lt=now).delete()
            try:
                with transaction.atomic():
                    until = now + timedelta(seconds=seconds)
                    Lease.objects.create(name=name, token=token, until=until)
            except IntegrityError:
                return False
        return True

    def renew(self, name: str, token: str, seconds: int) -> None:
        until = timezone.now() + timedelta(seconds=seconds)
        with _translated():
            Lease.objects.filter(name=name, token=token).update(until=until)

    def release(self, name: str, token: str) -> None:
        with _translated():
            Lease.objects.filter(name=name, token=token).delete()

    def last_numbers(self) -> int:
        with _translated():
            newest = snapshots.newest()
        return newest.numbers if newest else 0

    def compare(self, publication: Publication) -> Iterator[Written]:
        with _translated():
            existing = {entry.number: entry for entry in snapshots.newest_entries()}
        numbers = publication.numbers()
        yield from _compared(publication.entries, existing)
        gone = [entry for number, entry in existing.items() if number not in numbers]
        yield from _removed(publication, gone)

    publish = compare

    def hold(self, run: int) -> None:
        """The run says so itself."""

    def is_held(self) -> bool:
        return False

    def release_hold(self) -> None: ...


def _compared(entries: Sequence[Entry], existing: Mapping[str, Entry]) -> Iterator[Written]:
    """By the rules of `publish.lua`."""
    for entry in entries:
        old = existing.get(entry.number)
        if old and old.read_at > entry.read_at:
            yield Written(entry, "older", None)
        elif not old or not old.known:
            yield Written(entry, "added", None)
        elif old.digest() == entry.digest():
            yield Written(entry, "unchanged", None)
        else:
            yield Written(entry, "changed", old)


def _removed(publication: Publication, gone: Sequence[Entry]) -> Iterator[Written]:
    for removal, before in zip(publication.removals(gone), gone, strict=True):
        if before.read_at <= removal.read_at:
            yield Written(removal, "removed", before)


def _drain(written: Iterator[Written]) -> None:
    for _ in written:
        pass


@contextmanager
def _translated() -> Iterator[None]:
    database.release()  # a refresh takes long, and the database may have been away
    try:
        yield
    except DatabaseError as error:
        raise CacheUnavailable(f"The database: {error}") from error
