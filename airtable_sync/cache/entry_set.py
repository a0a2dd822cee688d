"""The complete set of known entries that a refresh or a rollback publishes. It is encoded once, and
kept in a temporary database: a large set does not fill the memory."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.entry import EncodedEntry, Entry, Origin
from airtable_sync.cache.temporary_database import from_key, temporary_database, to_key

_SCHEMA = """
CREATE TABLE entries (number BLOB PRIMARY KEY, is_contact INTEGER, value BLOB, digest TEXT)
"""
_NUMBERS, _CONTACTS = "is_contact = 0", "is_contact = 1"


@dataclass(frozen=True)
class EntrySet:
    """Sorted by number. All entries were read at `read_at` (ms) by the same origin. For one thread.
    Methods raise sqlite3.Error if the disk is full."""

    read_at: int
    origin: Origin
    _database: sqlite3.Connection
    _where: str = "TRUE"  # which part

    @classmethod
    def of(cls, entries: Iterable[Entry], read_at: int, origin: Origin) -> Self:
        """Of two entries of one number the last counts."""
        made = cls(read_at, origin, temporary_database(_SCHEMA))
        made.add(entries)
        return made

    def add(self, entries: Iterable[Entry]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
            (
                (to_key(each.number), is_contact(each.number), each.value, each.digest)
                for each in map(self._encoded, entries)
            ),
        )

    def _encoded(self, entry: Entry) -> EncodedEntry:
        if (entry.read_at, entry.origin) != (self.read_at, self.origin):
            entry = replace(entry, read_at=self.read_at, origin=self.origin)
        return entry.encoded()

    def of_numbers(self) -> Self:
        return replace(self, _where=_NUMBERS)

    def of_contacts(self) -> Self:
        return replace(self, _where=_CONTACTS)

    def __len__(self) -> int:
        [[count]] = self._select("count(*)")
        return int(count)

    def __iter__(self) -> Iterator[EncodedEntry]:
        for number, value, digest in self._select("number, value, digest", "ORDER BY number"):
            yield EncodedEntry(from_key(number), value, digest, self.read_at, self.origin)

    def numbers(self) -> Iterator[str]:
        return (from_key(number) for [number] in self._select("number", "ORDER BY number"))

    def digest(self) -> str:
        """Equal for sets with the same content."""
        digest = hashlib.sha256()
        for number, each in self._select("number, digest", "ORDER BY number"):
            digest.update(b"%b %b\n" % (number, each.encode()))
        return digest.hexdigest()

    def lines(self) -> Iterator[bytes]:
        """As JSON, for a snapshot."""
        for entry in self:
            yield b'{"number": %b, %b\n' % (json.dumps(entry.number).encode(), entry.value[1:])

    def _select(self, columns: str, order: str = "") -> sqlite3.Cursor:
        query = f"SELECT {columns} FROM entries WHERE {self._where} {order}"  # noqa: S608 - constants
        return self._database.execute(query)
