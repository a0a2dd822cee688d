"""Reading the whole base, before anything is published, and noticing when it changed its shape."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from airtable_sync.airtable.client import Airtable, Record
from airtable_sync.airtable.parallel import one_by_one, side_by_side
from airtable_sync.mapping.formatting import text_of
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import Mapping

Progress = Callable[[str, int], None]  # the table that is being read, and how many are done
PUBLISHING = "Publishing"  # what comes after the tables


@dataclass
class Reading:
    """All records by table and id, and the names of the fields that any of them had."""

    tables: dict[str, dict[str, Record]] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    # Fields that a table's last page did not have any more: sparse ones, or renamed meanwhile.
    faded: dict[str, list[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {table: len(records) for table, records in self.tables.items()}

    def may_be_torn(self) -> bool:
        return any(self.faded.values())

    def unseen(self, mapping: Mapping) -> list[str]:
        """Fields that the mapping names and no record has: their columns are empty, or gone."""
        return [
            f"{table}.{name}"
            for table, records in self.tables.items()
            for name in mapping.named_fields(table)
            if records and name not in self.seen[table]
        ]


def read_all(
    mapping: Mapping, airtable: Airtable, progress: Progress, *, at_once: bool = False
) -> Reading:
    """Every table once; all of them `at_once`, or one after the other. Raises AirtableError."""
    seen: dict[str, dict[str, None]] = {table: {} for table in mapping.tables()}
    last: dict[str, dict[str, None]] = {table: {} for table in mapping.tables()}
    reading = Reading({table: {} for table in mapping.tables()})
    pages = side_by_side(mapping, airtable) if at_once else one_by_one(mapping, airtable)
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
        reading.faded[table] = [name for name in names if name not in last[table]]
    return reading


def _normalise_numbers(mapping: Mapping, page: list[Record]) -> None:
    """The slowest part of joining, done while Airtable's rate limit makes us wait for the next page
    anyway: what `e164` finds is remembered."""
    for record in page:
        e164(text_of(record["fields"].get(mapping.number_field)), mapping.region)
