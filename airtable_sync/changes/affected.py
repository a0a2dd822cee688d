"""What the change feed says has changed is read again, by the ordinary mapping, and written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice

from airtable_sync.airtable.client import IDS_PER_REQUEST, Airtable
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import Store
from airtable_sync.cache.replica import Replica
from airtable_sync.changes.expected_cells import hints_of
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.lookup.airtable_lookup import is_served, looked_up
from airtable_sync.mapping import base_schema, rejected_records
from airtable_sync.mapping.schema import current

AT_ONCE = 100


@dataclass
class Affected:
    """The numbers whose entries were made of what changed, and the records of the numbers' table
    that may claim others. The rest are hints, by which all is read in one round of requests."""

    made_from: dict[str, tuple[str, ...]] = field(default_factory=dict)  # and likely is again
    roots: set[str] = field(default_factory=set)
    hinted: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)  # table/record

    def count(self) -> int:
        """At the most so many numbers."""
        return len(self.made_from) + len(self.roots)

    def likely(self, numbers: Iterable[str]) -> dict[str, list[str]]:
        """By table, the records that these numbers will probably be made of."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        before = {each for number in numbers for each in self.made_from.get(number, ())}
        for record in (*sorted(before), *sorted(self.beside - before)):
            table, _, record_id = record.rpartition("/")
            found[table].append(record_id)
        # The records of the numbers themselves are found by the numbers.
        tables = current().tables()[1:]
        return {table: found[table][:IDS_PER_REQUEST] for table in tables if table in found}


class Changes:
    """Raises AirtableError and CacheUnavailable."""

    def __init__(self, store: Store, replica: Replica, airtable: Airtable) -> None:
        self._store, self._replica, self._airtable = store, replica, airtable

    def affected(self, changed: ChangedRecords, tables: Mapping[str, str]) -> Affected:
        """`tables` tells the name behind a table's id, for the mapping's tables."""
        mapping, found = current(), Affected()
        touched = {each for table in tables for each in changed.touched(table)}
        if not touched:
            return found
        hints = hints_of(changed, tables, base_schema.names(self._store))
        for entry in self._made_of(touched | hints.branching):
            if touched.isdisjoint(_ids(entry.records)) or not is_served(entry.number):
                found.beside.update(entry.records)
            else:
                found.made_from[entry.number] = () if hints.moved(entry) else entry.records
        for table, name in tables.items():
            if name == mapping.root.table:
                found.roots |= changed.records.get(table, set())
            found.beside |= {f"{name}/{each}" for each in changed.records.get(table, ())}
        found.beside |= hints.linked()
        found.roots |= rejected_records.made_from(self._store, touched)
        found.hinted = set(filter(is_served, hints.numbers))
        return found

    def apply(self, found: Affected) -> Counter[str]:
        """Read the numbers again and write what is there now. Returns how many were added, changed,
        removed, …"""
        outcomes: Counter[str] = Counter()
        numbers, roots = iter(sorted(found.made_from)), iter(sorted(found.roots))
        while any(some := (list(islice(numbers, AT_ONCE)), list(islice(roots, AT_ONCE)))):
            outcomes.update(self._apply_to(*some, found))
        return outcomes

    def _apply_to(self, numbers: list[str], roots: list[str], found: Affected) -> list[str]:
        hinted = sorted(found.hinted.difference(numbers))[:AT_ONCE] if roots else []
        now = looked_up([*numbers, *hinted], self._airtable, roots, found.likely(numbers))
        rejected_records.add(self._store, now.invalid, now.read_at)
        entries = {
            number: replace(entry, by="change")
            for number, entry in now.entries.items()
            if entry.known or number not in hinted or self._replica.get(number)
        }
        written = self._store.write(entries.values(), announce_unchanged=False)
        for number, outcome in written.items():
            if outcome != "older":
                # The next changes may concern what this one has linked, before Redis tells of it.
                self._replica.keep(entries[number], saved=True)
        return list(written.values())

    def _made_of(self, ids: AbstractSet[str]) -> Iterable[Entry]:
        if self._replica.complete and self._replica.in_sync:
            return self._replica.made_from(ids)
        entries = self._store.read_many(self._store.numbers())
        return (entry for entry in entries if not ids.isdisjoint(_ids(entry.records)))


def _ids(records: Iterable[str]) -> Iterable[str]:
    return (record.rpartition("/")[2] for record in records)
