"""Snapshots: the complete sets of the last ten different publications, compressed in the database.
A process starts from the newest one when Redis and Airtable are down; a rollback publishes an older
one."""

import hashlib
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from django.db import transaction
from django.db.models import QuerySet

from airtable_sync.cache.contacts import number_of, numbers_in
from airtable_sync.cache.entry import Entry, entry_from_json
from airtable_sync.models import Run, Snapshot

SNAPSHOTS_KEPT = 10


class Snapshots:
    """The snapshots of one base. Every method raises DatabaseError."""

    def __init__(self, base_id: str) -> None:
        self._base_id = base_id

    def all(self) -> QuerySet[Snapshot]:
        """Newest first. The content is loaded when it is used."""
        return Snapshot.objects.filter(base=self._base_id).defer("content")

    def newest(self) -> Snapshot | None:
        return self.all().first()

    def newest_entries(self) -> Iterator[Entry]:
        if snapshot := self.newest():
            yield from entries_of(snapshot)

    def save(self, run: Run, entries: Sequence[Entry], read_at: int) -> None:
        """Save the known entries of a run. An unchanged set only confirms the newest snapshot. Does
        nothing if a refresh with a later `read_at` (ms) was saved, or confirmed it, first."""
        digest, last = _digest(entries), self.newest()
        if last and read_at < last.confirmed_at <= time.time() * 1000:
            return
        if last and last.digest == digest:
            self.all().filter(pk=last.pk).update(confirmed_at=read_at)
            return
        run.save()  # the database may have lost it, or was down when the run began
        Snapshot.objects.create(
            run=run,
            base=self._base_id,
            read_at=read_at,
            confirmed_at=read_at,
            numbers=len(numbers_in(entries)),
            digest=digest,
            content=_compress(entries),
        )
        kept = self.all().values_list("pk", flat=True)[:SNAPSHOTS_KEPT]
        self.all().exclude(pk__in=list(kept)).delete()

    def erase(self, number: str) -> None:
        """Remove a number from all snapshots. The newest one gets a new id: processes without Redis
        notice the change by it."""
        newest = self.newest()
        for snapshot in Snapshot.objects.iterator(chunk_size=1):
            before = list(entries_of(snapshot))
            entries = [entry for entry in before if number_of(entry.number) != number]
            if len(entries) == len(before):
                continue
            snapshot.numbers, snapshot.digest = len(numbers_in(entries)), _digest(entries)
            snapshot.content = _compress(entries)
            with transaction.atomic():
                if newest and snapshot.pk == newest.pk:
                    snapshot.delete()
                    snapshot.pk, snapshot.read_at = None, snapshot.read_at + 1
                    snapshot.confirmed_at += 1  # later than the entries that it confirmed
                snapshot.save()


def entries_of(snapshot: Snapshot) -> Iterator[Entry]:
    for line in zlib.decompress(snapshot.content).splitlines():
        value = json.loads(line)
        yield entry_from_json(value.pop("number"), value)


def confirmed_entries_of(snapshot: Snapshot) -> Iterator[Entry]:
    """The entries as Airtable still had them when the snapshot was last confirmed."""
    for entry in entries_of(snapshot):
        yield replace(entry, read_at=max(entry.read_at, snapshot.confirmed_at))


def _compress(entries: Iterable[Entry]) -> bytes:
    compressor = zlib.compressobj()
    pieces = [compressor.compress(_line(entry)) for entry in entries]
    return b"".join([*pieces, compressor.flush()])


def _line(entry: Entry) -> bytes:
    return json.dumps({"number": entry.number, **entry.to_json()}).encode() + b"\n"


def _digest(entries: Iterable[Entry]) -> str:
    """Equal for sets with the same content."""
    digest = hashlib.sha256()
    for number, each in sorted((entry.number, entry.digest()) for entry in entries):
        digest.update(f"{number} {each}\n".encode())
    return digest.hexdigest()
