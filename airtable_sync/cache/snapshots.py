"""Snapshots: the complete sets of the last ten different publications, compressed in the database.
A process starts from the newest one when Redis and Airtable are down; a rollback publishes an older
one."""

import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace

from django.db import transaction
from django.db.models import QuerySet

from airtable_sync.cache.contacts import number_of
from airtable_sync.cache.entry import Entry, entry_from_json
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.temporary_database import translated_errors
from airtable_sync.models import Run, Snapshot

SNAPSHOTS_KEPT = 10
PIECE_BYTES = 64 * 1024  # of compressed content, decompressed at a time


class Snapshots:
    """The snapshots of one base. Those of the same mapping have one `generation`. Every method
    raises DatabaseError."""

    def __init__(self, base_id: str, generation: str = "") -> None:
        self._base_id = base_id
        self._generation = generation

    def all(self) -> QuerySet[Snapshot]:
        """Newest first. The content is loaded when it is used."""
        return Snapshot.objects.filter(base=self._base_id).defer("content")

    def newest(self) -> Snapshot | None:
        """Of this mapping. Without one, of any mapping: what was served last."""
        return self._newest_of_mapping() or self.all().first()

    def _newest_of_mapping(self) -> Snapshot | None:
        return self.all().filter(generation=self._generation).first()

    def newest_entries(self) -> Iterator[Entry]:
        if snapshot := self.newest():
            yield from entries_of(snapshot)

    def save(self, run: Run, entries: EntrySet) -> None:
        """Save the known entries of a run. An unchanged set only confirms the newest snapshot. Does
        nothing if a later refresh was saved, or confirmed it, first."""
        digest, last, read_at = entries.digest(), self._newest_of_mapping(), entries.read_at
        if last and read_at < last.confirmed_at <= time.time() * 1000:
            return
        if last and last.digest == digest:
            contacts = len(entries.of_contacts())
            self.all().filter(pk=last.pk).update(confirmed_at=read_at, contacts=contacts)
            return
        run.save()  # the database may have lost it, or was down when the run began
        Snapshot.objects.create(
            run=run,
            base=self._base_id,
            generation=self._generation,
            read_at=read_at,
            confirmed_at=read_at,
            numbers=len(entries.of_numbers()),
            contacts=len(entries.of_contacts()),
            digest=digest,
            content=compressed(entries),
        )
        kept = self.all().values_list("pk", flat=True)[:SNAPSHOTS_KEPT]
        self.all().exclude(pk__in=list(kept)).delete()

    def erase(self, number: str) -> None:
        """Remove a number from all snapshots. The newest one gets a new id: processes without Redis
        notice the change by it."""
        with translated_errors():
            self._erase(number)

    def _erase(self, number: str) -> None:
        newest = self.newest()
        for snapshot in Snapshot.objects.iterator(chunk_size=1):
            if (first := next(entries_of(snapshot), None)) is None:
                continue
            if not any(number_of(each.number) == number for each in entries_of(snapshot)):
                continue
            others = (each for each in entries_of(snapshot) if number_of(each.number) != number)
            entries = EntrySet.of(others, first.read_at, first.origin)
            snapshot.numbers, snapshot.digest = len(entries.of_numbers()), entries.digest()
            snapshot.contacts = len(entries.of_contacts())
            snapshot.content = compressed(entries)
            with transaction.atomic():
                if newest and snapshot.pk == newest.pk:
                    snapshot.delete()
                    snapshot.pk, snapshot.read_at = None, snapshot.read_at + 1
                    snapshot.confirmed_at += 1  # later than the entries that it confirmed
                snapshot.save()


def entries_of(snapshot: Snapshot) -> Iterator[Entry]:
    """Sorted by number."""
    return map(decode_line, lines_of(snapshot))


def decode_line(line: bytes) -> Entry:
    value = json.loads(line)
    return entry_from_json(value.pop("number"), value)


def confirmed_entries_of(snapshot: Snapshot) -> Iterator[Entry]:
    """The entries as Airtable still had them when the snapshot was last confirmed."""
    for entry in entries_of(snapshot):
        yield replace(entry, read_at=max(entry.read_at, snapshot.confirmed_at))


def decompressed(content: bytes | bytearray | memoryview) -> Iterator[Entry]:
    """The entries of what `compressed` returned."""
    return map(decode_line, _lines(content))


def compressed(entries: EntrySet) -> bytearray:
    compressor, content = zlib.compressobj(), bytearray()
    for line in entries.lines():
        content += compressor.compress(line)
    return content + compressor.flush()


def lines_of(snapshot: Snapshot) -> Iterator[bytes]:
    """Each entry as JSON that begins with its number. Sorted by number."""
    return _lines(snapshot.content)


def _lines(content: bytes | bytearray | memoryview) -> Iterator[bytes]:
    decompressor, rest = zlib.decompressobj(), b""
    view = memoryview(content)
    for start in range(0, len(view), PIECE_BYTES):
        piece = decompressor.decompress(view[start : start + PIECE_BYTES])
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    yield from filter(None, (rest + decompressor.flush()).split(b"\n"))
