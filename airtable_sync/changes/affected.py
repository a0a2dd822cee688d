"""The numbers that changed records affect: they are read again with the ordinary lookup, and
written."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice

from airtable_sync.airtable.client import IDS_PER_REQUEST
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica import Replica
from airtable_sync.changes.expected_cells import expected_cells
from airtable_sync.changes.payloads import ChangedRecords
from airtable_sync.lookup.airtable_lookup import NUMBERS_PER_LOOKUP, AirtableLookup
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.invalid_records import InvalidRecords
from airtable_sync.mapping.parts import NUMBERS, Part
from airtable_sync.mapping.schema import Mapping as BaseMapping

MAX_SEARCHED = 500  # records in one search
REPLICA_SECONDS = 0.1  # for the replica to receive what was written last


@dataclass
class Affected:
    """`entries_made_of` and `number_records` decide what is read again. `expected_numbers` and
    `nearby_records` only save round trips. Records are "table/rec…", except `number_records`."""

    entries_made_of: dict[str, tuple[str, ...]] = field(default_factory=dict)  # number -> records
    number_records: set[str] = field(default_factory=set)  # ids in tables of called numbers
    expected_numbers: set[str] = field(default_factory=set)
    nearby_records: set[str] = field(default_factory=set)

    def max_numbers(self) -> int:
        return len(self.entries_made_of) + len(self.number_records)


class AffectedNumbers:
    """Of called numbers, or of contacts (`part`). Raises AirtableError and CacheUnavailable."""

    def __init__(
        self,
        store: RedisStore,
        replica: Replica,
        lookup: AirtableLookup,
        active_mapping: ActiveMapping,
        base_schema: BaseSchema,
        part: Part = NUMBERS,
    ) -> None:
        self._store, self._replica, self._lookup = store, replica, lookup
        self._active_mapping, self._base_schema = active_mapping, base_schema
        self._part = part
        self._invalid_records = InvalidRecords(store)

    def find(self, changed: ChangedRecords, tables: Mapping[str, str]) -> Affected:
        """`tables` has the names of the mapping's tables by id."""
        found, mapping = Affected(), self._mapping()
        touched = {each for table_id in tables for each in changed.touched(table_id)}
        if not touched:
            return found
        expected = expected_cells(changed, mapping, tables, self._base_schema.field_names())
        for entry in self._entries_made_of(touched | expected.branching):
            is_touched = not touched.isdisjoint(_ids(entry.records))
            if is_touched and self._is_served(entry.number):
                records = () if expected.has_moved(entry) else entry.records
                found.entries_made_of[entry.number] = records
            else:
                found.nearby_records.update(entry.records)
        for table_id, table in tables.items():
            records_changed = changed.records.get(table_id, set())
            if table in mapping.number_tables():
                found.number_records |= records_changed
            found.nearby_records |= {f"{table}/{each}" for each in records_changed}
        found.nearby_records |= expected.linked_records()
        found.number_records |= self._invalid_records.linked_to(touched)
        if self._part is NUMBERS:
            found.expected_numbers = set(filter(self._is_served, expected.numbers))
        return found

    def prepare_search(self) -> None:
        """For the next edit, if this process can't hold all entries."""
        if self._replica.is_partial:
            self._store.make_record_index()

    def reread(self, affected: Affected) -> Counter[str]:
        """Read the numbers again and write them. Returns the count of each outcome."""
        outcomes: Counter[str] = Counter()
        numbers = iter(sorted(affected.entries_made_of))
        records = iter(sorted(affected.number_records))
        while any(
            batch := (
                list(islice(numbers, NUMBERS_PER_LOOKUP)),
                list(islice(records, NUMBERS_PER_LOOKUP)),
            )
        ):
            outcomes.update(self._reread_batch(*batch, affected))
        return outcomes

    def _reread_batch(
        self, numbers: list[str], records: list[str], affected: Affected
    ) -> list[str]:
        expected: list[str] = []
        if records:
            expected = sorted(affected.expected_numbers.difference(numbers))[:NUMBERS_PER_LOOKUP]
        # A record that leaves a view or filter has no links to follow: that is found out first.
        may_leave = bool(records) and any(
            root.view or root.filter for root in self._mapping().roots
        )
        likely = {} if may_leave else self._likely_records(affected, numbers)
        result = self._lookup.look_up_with([*numbers, *expected], records, likely)
        self._invalid_records.add(result.invalid, result.read_at)
        entries = {
            number: replace(entry, origin="change")
            for number, entry in result.entries.items()
            if entry.is_known or number not in expected or self._replica.get(number)
        }
        written = self._store.write(entries.values(), announce_unchanged=False)
        for number, outcome in written.items():
            if outcome != "older":
                # The next payloads may concern records that this entry has just linked.
                self._replica.keep(entries[number], saved=True)
        return list(written.values())

    def _likely_records(self, affected: Affected, numbers: Iterable[str]) -> dict[str, list[str]]:
        """Table -> the ids of records that these numbers' entries will probably be made of."""
        by_table: defaultdict[str, list[str]] = defaultdict(list)
        before = {e for number in numbers for e in affected.entries_made_of.get(number, ())}
        for record in (*sorted(before), *sorted(affected.nearby_records - before)):
            table, _, record_id = record.rpartition("/")
            by_table[table].append(record_id)
        # The lookup finds the records of the numbers' own tables by the numbers.
        mapping = self._mapping()
        linked = {child.table for node in mapping.nodes() for child in node.children}
        return {
            table: by_table[table][:IDS_PER_REQUEST]
            for table in mapping.tables()
            if table in by_table and table in linked
        }

    def _mapping(self) -> BaseMapping:
        return self._part.of(self._active_mapping.in_base(self._base_schema.known()))

    def _is_served(self, key: str) -> bool:
        return bool(self._part.served([key], self._active_mapping))

    def _entries_made_of(self, record_ids: AbstractSet[str]) -> Iterable[Entry]:
        if self._replica.complete and self._replica.in_sync and self._replica_has_all():
            return self._replica.entries_made_from(record_ids)
        is_search = len(record_ids) <= MAX_SEARCHED
        entries = (
            self._store.made_from(record_ids)
            if is_search
            else self._store.read_many(self._store.all_indexed())
        )
        return (entry for entry in entries if not record_ids.isdisjoint(_ids(entry.records)))

    def _replica_has_all(self) -> bool:
        """Not if a notification is late or lost: what the replica lacks must be found too."""
        epoch, sequence = self._store.newest_change()
        until = time.monotonic() + REPLICA_SECONDS
        while self._replica.lacks(epoch, sequence):
            if time.monotonic() > until:
                return False
            time.sleep(REPLICA_SECONDS / 10)
        return True


def _ids(records: Iterable[str]) -> Iterable[str]:
    return (record.rpartition("/")[2] for record in records)
