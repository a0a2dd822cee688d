"""Reads the whole base, and notices fields that were renamed or removed during that time."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.parallel import pages_in_order, pages_in_parallel
from airtable_sync.mapping.schema import Mapping
from airtable_sync.mapping.stored_records import StoredRecords

Progress = Callable[[str, int], None]  # a step (a table's name, or PUBLISHING) and its count so far
PUBLISHING = "Publishing"


@dataclass
class Reading:
    """The fields that records had."""

    seen: dict[str, list[str]] = field(default_factory=dict)  # table -> fields
    # Fields that the last page of a source did not have: rarely filled, or renamed meanwhile.
    missing_at_end: dict[str, list[str]] = field(default_factory=dict)

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
    mapping: Mapping,
    airtable: AirtableClient,
    records: StoredRecords,
    progress: Progress,
    *,
    in_parallel: bool = False,
) -> Reading:
    """Read every source once into `records`, one after the other or all `in_parallel`. Raises
    AirtableError, and sqlite3.Error if the disk is full."""
    sources = mapping.sources()
    seen: dict[str, dict[str, None]] = {key: {} for key in sources}
    last: dict[str, dict[str, None]] = {key: {} for key in sources}
    reading = Reading()
    read = pages_in_parallel if in_parallel else pages_in_order
    pages = read(mapping, airtable)
    with closing(pages):
        for key, page in pages:
            done = records.add(key, page)
            names = dict.fromkeys(chain.from_iterable(record["fields"] for record in page))
            last[key] = names or last[key]
            seen[key].update(names)
            progress(key, done)
    for key, names in seen.items():
        table = sources[key].table
        reading.seen[table] = list(dict.fromkeys([*reading.seen.get(table, ()), *names]))
        reading.missing_at_end[key] = [name for name in names if name not in last[key]]
    return reading
