"""The records of a whole base, in a temporary database: a large base does not fill the memory."""

import marshal
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import count, groupby
from operator import itemgetter
from typing import Any, cast

from airtable_sync.cache.temporary_database import from_key, temporary_database, to_key
from airtable_sync.mapping.called_numbers import NumberRecord, SameNumber, first_of_each_record
from airtable_sync.mapping.number_reader import NumberReader
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping

# Linked records are read by their ids, in any order. As many as fit are in memory, encoded; the
# database needs four times as long for one.
BYTES_IN_MEMORY = 48 * 1024 * 1024
_OVERHEAD_BYTES = 250  # of a record in memory: its id, and its place in the dict
# Many numbers link to the same few records of texts, hours or people: these are decoded once.
DECODED_RECORDS = 4096
_RECORDS = "CREATE TABLE records_{} (id BLOB UNIQUE, record BLOB)"
_NUMBERS = """
CREATE TABLE numbers_{} (number BLOB, section INTEGER, created BLOB, id BLOB, several INTEGER)
"""


class StoredRecords:
    """By the keys of their sources. For one thread. Methods raise sqlite3.Error if the disk is
    full."""

    def __init__(
        self,
        sources: Iterable[str],
        linked: Collection[str] = (),
        bytes_in_memory: int = BYTES_IN_MEMORY,
    ) -> None:
        """`linked` are the sources whose records others link to."""
        self._database = temporary_database("")
        share = bytes_in_memory // max(1, len(linked))
        self._tables = {
            source: StoredTable(self._database, index, share if source in linked else 0)
            for index, source in enumerate(sources)
        }
        self._indexes = count()

    def close(self) -> None:
        self._database.close()

    def add(self, source: str, page: list[Record]) -> int:
        """Returns how many records the source has so far."""
        table = self._tables[source]
        table.add(page)
        return len(table)

    def get(self, source: str) -> "StoredTable | None":
        return self._tables.get(source)

    def has(self, sources: Iterable[str]) -> bool:
        return all(source in self._tables for source in sources)

    def counts(self) -> dict[str, int]:
        return {source: len(table) for source, table in self._tables.items()}

    def called_numbers(self, mapping: Mapping) -> "StoredNumbers":
        tables = [self._tables[root.source.key] for root in mapping.roots]
        return StoredNumbers(self._database, next(self._indexes), mapping, tables)


class StoredTable:
    """The records of one source. The first ones are also in memory, up to `bytes_in_memory`."""

    def __init__(self, database: sqlite3.Connection, index: int, bytes_in_memory: int) -> None:
        self._database, self._index, self._bytes_left = database, index, bytes_in_memory
        self._in_memory: dict[str, bytes] = {}
        database.execute(_RECORDS.format(index))
        self._find = f"SELECT record FROM records_{index} WHERE id = ?"  # noqa: S608
        self.get: Callable[[str], Record | None] = lru_cache(DECODED_RECORDS)(self._get)

    def add(self, records: Iterable[Record]) -> None:
        """A record may come again: Airtable lost the position in a list, and it was read again."""
        encoded = [(each["id"], marshal.dumps(cast("Any", each))) for each in records]
        self._database.executemany(
            f"INSERT INTO records_{self._index} VALUES (?, ?) "  # noqa: S608 - our index
            "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            ((to_key(record_id), record) for record_id, record in encoded),
        )
        for record_id, record in encoded:
            if self._bytes_left > 0 or record_id in self._in_memory:
                self._in_memory[record_id] = record
                self._bytes_left -= len(record) + _OVERHEAD_BYTES

    def query_of(self, record_id: str) -> str:
        """A query of one record. `record_id` is an expression of SQL."""
        return f"SELECT record FROM records_{self._index} WHERE id = {record_id}"  # noqa: S608

    def _get(self, record_id: str) -> Record | None:
        if record := self._in_memory.get(record_id):
            return _decoded(record)
        row = self._database.execute(self._find, [to_key(record_id)]).fetchone()
        return _decoded(row[0]) if row else None

    def __iter__(self) -> Iterator[Record]:
        query = f"SELECT record FROM records_{self._index}"  # noqa: S608 - our index
        return (_decoded(record) for [record] in self._database.execute(query))

    def __len__(self) -> int:
        """No record is ever removed: the newest row's number, which SQLite has at once."""
        query = f"SELECT max(rowid) FROM records_{self._index}"  # noqa: S608 - our index
        return self._database.execute(query).fetchone()[0] or 0


class StoredNumbers:
    """The called numbers in stored records."""

    def __init__(
        self, database: sqlite3.Connection, index: int, mapping: Mapping, tables: list[StoredTable]
    ) -> None:
        self._database, self._index, self._tables = database, index, tables
        self.invalid: list[tuple[str, str]] = []
        self.skipped = 0
        database.execute(_NUMBERS.format(index))
        for section, root in enumerate(mapping.roots):
            reader = NumberReader(root)
            database.executemany(
                f"INSERT INTO numbers_{index} VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - our index
                self._rows(reader, section),
            )
            self.invalid += reader.invalid
            self.skipped += reader.skipped

    def _rows(self, reader: NumberReader, section: int) -> Iterator[tuple[Any, ...]]:
        for record in self._tables[section]:
            numbers = reader.read(record)
            created, record_id = to_key(record["createdTime"]), to_key(record["id"])
            for number in numbers:
                yield to_key(number), section, created, record_id, len(numbers) > 1

    def each(self) -> Iterator[SameNumber]:
        rows = self._database.execute(self._query()) if self._tables else ()
        for number, same in groupby(rows, itemgetter(0)):
            yield from_key(number), first_of_each_record(map(_number_record, same))

    def _query(self) -> str:
        """The records are read after sorting, which is faster than sorting them too: the LIMIT
        keeps SQLite from making one query of the two."""
        records = " ".join(
            f"WHEN {section} THEN ({table.query_of('found.id')})"
            for section, table in enumerate(self._tables)
        )
        found = (
            f"SELECT * FROM numbers_{self._index} "  # noqa: S608 - our index
            "ORDER BY number, section, created, id LIMIT -1"
        )
        return f"SELECT *, CASE section {records} END FROM ({found}) AS found"  # noqa: S608


def _number_record(row: tuple[bytes, int, bytes, bytes, int, bytes]) -> NumberRecord:
    _, section, _, _, several, record = row
    return NumberRecord(section, _decoded(record), bool(several))


def _decoded(record: bytes) -> Record:
    return cast("Record", marshal.loads(record))  # noqa: S302 - this process wrote it
