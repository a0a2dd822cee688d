"""What publishing a snapshot again would change of what this process serves. Entries are compared
by their digests; only those that differ are decoded."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.entry import Entry, decode_entry
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.snapshots import decode_line, lines_of
from airtable_sync.models import Snapshot

Kind = Literal["removed", "changed", "added"]
_YIELD_EVERY = 200
_DIGEST, _DIGEST_LENGTH = b'"digest": "', 16  # in an entry's bytes; no text can contain it
_NUMBER = b'{"number": "'


@dataclass(frozen=True)
class ChangedEntry:
    number: str
    kind: Kind
    before: Entry | None
    after: Entry | None


@dataclass
class SnapshotComparison:
    """The counts are exact; of each kind the first changes are kept."""

    counts: dict[Kind, int] = field(
        default_factory=lambda: {"removed": 0, "changed": 0, "added": 0}
    )
    changes: list[ChangedEntry] = field(default_factory=list)


def compare_with_replica(
    snapshot: Snapshot, replica: Replica, kept: int
) -> SnapshotComparison | None:
    """`kept`: how many changes of each kind. None if this process does not hold all entries.
    Overrides stay, so they are no change."""
    if not replica.complete:
        return None
    found, in_snapshot = SnapshotComparison(), set[str]()
    for number, line in _numbers_in(snapshot):
        in_snapshot.add(number)
        served = replica.raw(number)
        if served is not None and _digest(served) == _digest(line):
            continue
        before = decode_entry(number, served) if served else None
        if before is None or before.override_until <= replica.now():
            kind: Kind = "changed" if before and before.is_known else "added"
            _add(found, ChangedEntry(number, kind, before, None), line, kept)
    for number in sorted(replica.known_numbers() - in_snapshot):
        entry = replica.get(number)
        if entry and entry.override_until <= replica.now():
            _add(found, ChangedEntry(number, "removed", entry, None), None, kept)
    return found


def _numbers_in(snapshot: Snapshot) -> Iterator[tuple[str, bytes]]:
    for place, line in enumerate(lines_of(snapshot)):
        if place % _YIELD_EVERY == 0:
            time.sleep(0)  # releases the interpreter lock: calls have priority
        number = line[len(_NUMBER) : line.index(b'"', len(_NUMBER))].decode()
        if not is_contact(number):
            yield number, line


def _digest(raw: bytes) -> bytes:
    start = raw.rfind(_DIGEST) + len(_DIGEST)
    return raw[start : start + _DIGEST_LENGTH]


def _add(found: SnapshotComparison, change: ChangedEntry, line: bytes | None, kept: int) -> None:
    found.counts[change.kind] += 1
    if found.counts[change.kind] <= kept:
        after = decode_line(line) if line else None
        found.changes.append(ChangedEntry(change.number, change.kind, change.before, after))
