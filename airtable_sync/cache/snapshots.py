"""The last good sets: what the newest ten different publications held, compressed, in the database.
Processes boot from the newest when Redis and Airtable are down; a rollback publishes an older one.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from airtable_sync.cache.entry import Entry, from_json
from airtable_sync.models import Run, Snapshot

KEPT = 10


def save(run: Run, entries: Sequence[Entry], read_at: int) -> None:
    """Keep a set of known entries, or only that the newest one was found unchanged; nothing, if
    another refresh, which asked later, was faster. Raises DatabaseError."""
    digest, last = _digest(entries), newest()
    if last and read_at < last.read_at <= time.time() * 1000:
        return
    if last and last.digest == digest:
        all_of_base().filter(pk=last.pk).update(confirmed_at=read_at)
        return
    run.save()  # the database was away when it began, or has lost it since
    Snapshot.objects.create(
        run=run,
        base=settings.AIRTABLE_BASE_ID or "",
        read_at=read_at,
        confirmed_at=read_at,
        numbers=len(entries),
        digest=digest,
        content=_compressed(entries),
    )
    kept = all_of_base().values_list("pk", flat=True)[:KEPT]
    all_of_base().exclude(pk__in=list(kept)).delete()


def all_of_base() -> QuerySet[Snapshot]:
    """The sets of this base, the newest first, without their content until that is asked for."""
    sets = Snapshot.objects.filter(base=settings.AIRTABLE_BASE_ID or "")
    return sets.defer("content")


def newest() -> Snapshot | None:
    """Raises DatabaseError."""
    return all_of_base().first()


def newest_entries() -> Iterator[Entry]:
    """Raises DatabaseError."""
    if snapshot := newest():
        yield from entries_of(snapshot)


def entries_of(snapshot: Snapshot) -> Iterator[Entry]:
    for line in zlib.decompress(snapshot.content).splitlines():
        value = json.loads(line)
        yield from_json(value.pop("number"), value)


def erase(number: str) -> None:
    """Take a number out of all sets. The newest is kept anew: that is how those who follow the
    database hear of it. Raises DatabaseError."""
    latest = newest()
    for snapshot in Snapshot.objects.iterator(chunk_size=1):
        entries = [each for each in entries_of(snapshot) if each.number != number]
        if len(entries) == snapshot.numbers:
            continue
        snapshot.numbers, snapshot.digest = len(entries), _digest(entries)
        snapshot.content = _compressed(entries)
        with transaction.atomic():
            if latest and snapshot.pk == latest.pk:
                snapshot.delete()
                snapshot.pk, snapshot.read_at = None, snapshot.read_at + 1
            snapshot.save()


def _compressed(entries: Iterable[Entry]) -> bytes:
    packer = zlib.compressobj()
    pieces = [packer.compress(_line(entry)) for entry in entries]
    return b"".join([*pieces, packer.flush()])


def _line(entry: Entry) -> bytes:
    return json.dumps({"number": entry.number, **entry.as_json()}).encode() + b"\n"


def _digest(entries: Iterable[Entry]) -> str:
    """Equal for sets that say the same of every number."""
    whole = hashlib.sha256()
    for number, digest in sorted((entry.number, entry.digest()) for entry in entries):
        whole.update(f"{number} {digest}\n".encode())
    return whole.hexdigest()
