"""What the change feed says has changed is read again, by the ordinary mapping, and written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from airtable_sync import unusable
from airtable_sync.airtable import Airtable
from airtable_sync.entries import Entry
from airtable_sync.join import claimed
from airtable_sync.lookup import is_served, looked_up
from airtable_sync.mapping import current
from airtable_sync.payloads import Dirty
from airtable_sync.replica import Replica
from airtable_sync.store import Store

NUMBERS_AT_ONCE = 100


@dataclass
class Affected:
    """The numbers that changes concern, with the records that their entries were made of so far."""

    numbers: set[str] = field(default_factory=set)
    made_of: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def likely(self, numbers: Iterable[str], tables: Iterable[str]) -> dict[str, set[str]]:
        """By table, the records that these numbers will probably be made of again."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for record in {each for number in numbers for each in self.made_of.get(number, ())}:
            table, _, record_id = record.rpartition("/")
            found[table].add(record_id)
        return {table: found[table] for table in tables if table in found}


class Changes:
    """Raises AirtableError and StoreUnavailable."""

    def __init__(self, store: Store, replica: Replica, airtable: Airtable) -> None:
        self._store, self._replica, self._airtable = store, replica, airtable

    def affected(self, dirty: Dirty, names: Mapping[str, str]) -> Affected:
        """`names` tells the name behind a table's id, for the mapping's tables."""
        mapping, found = current(), Affected()
        touched = {each for table in names for each in dirty.touched(table)}
        for entry in self._made_of(touched):
            found.made_of[entry.number] = entry.records
        root = mapping.root.table
        roots = {
            each
            for table, name in names.items()
            if name == root
            for each in dirty.records.get(table, ())
        }
        if touched:
            roots |= unusable.made_of(self._store, touched)
        records = self._airtable.by_ids(root, sorted(roots), mapping.wanted_fields(root))
        numbers = found.made_of.keys() | claimed(mapping, records).keys()
        found.numbers = {number for number in numbers if is_served(number)}
        return found

    def apply(self, found: Affected) -> Counter[str]:
        """Read the numbers again and write what is there now. Returns how many were added, changed,
        removed, …"""
        outcomes: Counter[str] = Counter()
        numbers = sorted(found.numbers)
        for start in range(0, len(numbers), NUMBERS_AT_ONCE):
            outcomes.update(self._apply_to(numbers[start : start + NUMBERS_AT_ONCE], found))
        return outcomes

    def _apply_to(self, numbers: list[str], found: Affected) -> list[str]:
        mapping = current()
        # The records of the numbers themselves are found by the numbers.
        likely = found.likely(numbers, mapping.tables()[1:])
        now = looked_up(numbers, self._airtable, likely)
        unusable.add(self._store, now.invalid, now.asked_at)
        entries = {number: replace(each, by="change") for number, each in now.entries.items()}
        written = self._store.write(entries.values(), announce_unchanged=False)
        for number, outcome in written.items():
            if outcome != "older":
                # The next changes may concern what this one has linked, before Redis tells of it.
                self._replica.keep(entries[number], saved=True)
        return list(written.values())

    def _made_of(self, ids: AbstractSet[str]) -> Iterable[Entry]:
        if not ids:
            return ()
        if self._replica.complete and self._replica.in_step:
            return self._replica.made_of(ids)
        entries = self._store.read_many(self._store.numbers())
        return (e for e in entries if any(r.rpartition("/")[2] in ids for r in e.records))
