"""What the change feed says has changed is read again, by the ordinary mapping, and written."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from airtable_sync.airtable import Airtable
from airtable_sync.entries import Entry
from airtable_sync.join import claimed
from airtable_sync.lookup import is_served, look_up
from airtable_sync.mapping import current
from airtable_sync.payloads import Dirty
from airtable_sync.replica import Replica
from airtable_sync.store import Store

NUMBERS_AT_ONCE = 100
UNUSABLE = "unusable"  # the name of: ids of numbers' records that make no config


@dataclass
class Affected:
    """The numbers that changes concern, and the records that their entries were made of so far."""

    numbers: set[str] = field(default_factory=set)
    records: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    roots: set[str] = field(default_factory=set)


class Changes:
    """Raises AirtableError and StoreUnavailable."""

    def __init__(self, store: Store, replica: Replica, airtable: Airtable) -> None:
        self._store, self._replica, self._airtable = store, replica, airtable

    def affected(self, dirty: Dirty, names: Mapping[str, str]) -> Affected:
        """`names` tells the name behind a table's id, for the mapping's tables."""
        mapping, found = current(), Affected()
        touched = {
            name: dirty.records.get(table, set()) | dirty.destroyed.get(table, set())
            for table, name in names.items()
        }
        root = mapping.root.table
        reread = set().union(
            *(dirty.records.get(t, ()) for t, name in names.items() if name == root)
        )
        others = set().union(*(ids for name, ids in touched.items() if name != root))
        for entry in self._made_of(set().union(*touched.values())):
            found.numbers.add(entry.number)
            for record in entry.records:
                table, _, record_id = record.rpartition("/")
                found.records[table].add(record_id)
        if others - set().union(*found.records.values()):
            reread |= set(self._store.recall(UNUSABLE) or ())  # one of these may be usable now
        found.roots = reread | found.records.pop(root, set())
        if reread:
            records = self._airtable.by_ids(root, sorted(reread), mapping.wanted_fields(root))
            found.numbers.update(claimed(mapping, records))
        found.numbers = {number for number in found.numbers if is_served(number)}
        return found

    def apply(self, found: Affected) -> Counter[str]:
        """Read the numbers again and write what is there now. Returns how many were added, changed,
        removed, …"""
        outcomes: Counter[str] = Counter()
        numbers = sorted(found.numbers)
        for start in range(0, len(numbers), NUMBERS_AT_ONCE):
            some = numbers[start : start + NUMBERS_AT_ONCE]
            entries = look_up(some, self._airtable, likely=found.records)
            changes = [replace(entry, by="change") for entry in entries.values()]
            if any(not each.known for each in changes):
                self._remember_unusable(found.roots)
            outcomes.update(self._store.write(changes, announce_unchanged=False).values())
        return outcomes

    def _made_of(self, ids: Collection[str]) -> Iterable[Entry]:
        if self._replica.complete and self._replica.in_step:
            return self._replica.made_of(ids)
        entries = self._store.read_many(self._store.numbers())
        return (e for e in entries if any(r.rpartition("/")[2] in ids for r in e.records))

    def _remember_unusable(self, roots: Iterable[str]) -> None:
        known = self._store.recall(UNUSABLE) or []
        self._store.remember(UNUSABLE, list(dict.fromkeys([*roots, *known]))[:1000], None)
