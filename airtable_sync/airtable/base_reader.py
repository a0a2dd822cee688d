"""Reads the whole base into memory, and notices fields that were renamed or removed meanwhile."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.parallel import pages_in_order, pages_in_parallel
from airtable_sync.mapping.formatting import text_of
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping

Progress = Callable[[str, int], None]  # a step (a table's name, or PUBLISHING) and its count so far
PUBLISHING = "Publishing"


@dataclass
class Reading:
    """All records, and the fields that they had."""

    tables: dict[str, dict[str, Record]] = field(default_factory=dict)  # table -> id -> record
    seen: dict[str, list[str]] = field(default_factory=dict)
    # Fields that the last page of a table did not have: rarely filled, or renamed meanwhile.
    missing_at_end: dict[str, list[str]] = field(default_factory=dict)

    def record_counts(self) -> dict[str, int]:
        return {table: len(records) for table, records in self.tables.items()}

    def may_have_changed(self) -> bool:
        return any(self.missing_at_end.values())

    def unseen_fields(self, mapping: Mapping) -> list[str]:
        """Fields that the mapping names and no record has: their columns are empty or deleted."""
        return [
            f"{table}.{name}"
            for table, records in self.tables.items()
            for name in mapping.named_fields(table)
            if records and name not in self.seen[table]
        ]


def read_all(
    mapping: Mapping, airtable: AirtableClient, progress: Progress, *, in_parallel: bool = False
) -> Reading:
    """Read every table once, one after the other or all `in_parallel`. Raises AirtableError."""
    seen: dict[str, dict[str, None]] = {table: {} for table in mapping.tables()}
    last: dict[str, dict[str, None]] = {table: {} for table in mapping.tables()}
    reading = Reading({table: {} for table in mapping.tables()})
    read = pages_in_parallel if in_parallel else pages_in_order
    pages = read(mapping, airtable)
    with closing(pages):
        for table, page in pages:
            records = reading.tables[table]
            records.update((record["id"], record) for record in page)
            names = dict.fromkeys(name for record in page for name in record["fields"])
            last[table] = names or last[table]
            seen[table].update(names)
            if table == mapping.root.table:
                _normalise_numbers(mapping, page)
            progress(table, len(records))
    for table, names in seen.items():
        reading.seen[table] = list(names)
        reading.missing_at_end[table] = [name for name in names if name not in last[table]]
    return reading


def _normalise_numbers(mapping: Mapping, page: list[Record]) -> None:
    """The slowest part of the join, done while the rate limiter makes us wait for the next page:
    `to_e164` caches its results."""
    for record in page:
        to_e164(text_of(record["fields"].get(mapping.number_field)), mapping.region)
