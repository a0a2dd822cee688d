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
from airtable_sync.models import LastGoodSet, Run

KEPT = 10


def save(run: Run, entries: Sequence[Entry], asked_at: int) -> None:
    """Keep a set of known entries, or only that the newest one was found unchanged; nothing, if
    another refresh, which asked later, was faster. Raises DatabaseError."""
    digest, last = _digest(entries), newest()
    if last and asked_at < last.asked_at <= time.time() * 1000:
        return
    if last and last.digest == digest:
        all_of_base().filter(pk=last.pk).update(confirmed_at=asked_at)
        return
    run.save()  # the database was away when it began, or has lost it since
    LastGoodSet.objects.create(
        run=run,
        base=settings.AIRTABLE_BASE_ID or "",
        asked_at=asked_at,
        confirmed_at=asked_at,
        numbers=len(entries),
        digest=digest,
        content=_compressed(entries),
    )
    kept = all_of_base().values_list("pk", flat=True)[:KEPT]
    all_of_base().exclude(pk__in=list(kept)).delete()


def all_of_base() -> QuerySet[LastGoodSet]:
    """The sets of this base, the newest first, without their content until that is asked for."""
    sets = LastGoodSet.objects.filter(base=settings.AIRTABLE_BASE_ID or "")
    return sets.defer("content")


def newest() -> LastGoodSet | None:
    """Raises DatabaseError."""
    return all_of_base().first()


def newest_entries() -> Iterator[Entry]:
    """Raises DatabaseError."""
    if good_set := newest():
        yield from entries_of(good_set)


def entries_of(good_set: LastGoodSet) -> Iterator[Entry]:
    for line in zlib.decompress(good_set.content).splitlines():
        value = json.loads(line)
        yield from_json(value.pop("number"), value)


def erase(number: str) -> None:
    """Take a number out of all sets. The newest is kept anew: that is how those who follow the
    database hear of it. Raises DatabaseError."""
    latest = newest()
    for good_set in LastGoodSet.objects.iterator(chunk_size=1):
        entries = [each for each in entries_of(good_set) if each.number != number]
        if len(entries) == good_set.numbers:
            continue
        good_set.numbers, good_set.digest = len(entries), _digest(entries)
        good_set.content = _compressed(entries)
        with transaction.atomic():
            if latest and good_set.pk == latest.pk:
                good_set.delete()
                good_set.pk, good_set.asked_at = None, good_set.asked_at + 1
            good_set.save()


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
