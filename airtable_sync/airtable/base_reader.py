"""Reads the whole base into memory, and notices fields that were renamed or removed meanwhile."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.parallel import pages_in_order, pages_in_parallel
from airtable_sync.mapping.called_numbers import texts_of
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping, Source

Progress = Callable[[str, int], None]  # a step (a table's name, or PUBLISHING) and its count so far
PUBLISHING = "Publishing"


@dataclass
class Reading:
    """All records, and the fields that they had."""

    tables: dict[str, dict[str, Record]] = field(default_factory=dict)  # source -> id -> record
    seen: dict[str, list[str]] = field(default_factory=dict)  # table -> fields
    # Fields that the last page of a source did not have: rarely filled, or renamed meanwhile.
    missing_at_end: dict[str, list[str]] = field(default_factory=dict)

    def record_counts(self) -> dict[str, int]:
        return {table: len(records) for table, records in self.tables.items()}

    def may_have_changed(self) -> bool:
        return any(self.missing_at_end.values())

    def unseen_fields(self, mapping: Mapping, *, may_be_asked_for: bool) -> list[str]:
        """Fields that the mapping names and no record has: their columns are empty or deleted.
        Without `may_be_asked_for` only those that no request has named: Airtable rejects a request
        for a deleted field."""
        sources = mapping.sources().values()
        wanted = {source.table for source in sources if mapping.wanted_fields(source)}
        return [
            f"{table}.{name}"
            for table in mapping.tables()
            if may_be_asked_for or table not in wanted
            for name in mapping.named_fields(table)
            if self.seen[table] and name not in self.seen[table]
        ]


def read_all(
    mapping: Mapping, airtable: AirtableClient, progress: Progress, *, in_parallel: bool = False
) -> Reading:
    """Read every source once, one after the other or all `in_parallel`. Raises AirtableError."""
    sources = mapping.sources()
    seen: dict[str, dict[str, None]] = {key: {} for key in sources}
    last: dict[str, dict[str, None]] = {key: {} for key in sources}
    reading = Reading({key: {} for key in sources})
    read = pages_in_parallel if in_parallel else pages_in_order
    pages = read(mapping, airtable)
    with closing(pages):
        for key, page in pages:
            records = reading.tables[key]
            records.update((record["id"], record) for record in page)
            names = dict.fromkeys(name for record in page for name in record["fields"])
            last[key] = names or last[key]
            seen[key].update(names)
            _normalise_numbers(mapping, sources[key], page)
            progress(key, len(records))
    for key, names in seen.items():
        table = sources[key].table
        reading.seen[table] = list(dict.fromkeys([*reading.seen.get(table, ()), *names]))
        reading.missing_at_end[key] = [name for name in names if name not in last[key]]
    return reading


def _normalise_numbers(mapping: Mapping, source: Source, page: list[Record]) -> None:
    """The slowest part of the join, done while the rate limiter makes us wait for the next page:
    `to_e164` caches its results."""
    for root in mapping.roots:
        if root.source == source:
            for record in page:
                for name in root.number_fields:
                    for text in texts_of(root, record["fields"].get(name)):
                        to_e164(text, root.region)
