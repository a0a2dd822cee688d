"""What the change feed says that cells hold now. It decides nothing: by it, what has to be read is
asked for at the same time, instead of step by step along the links."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from airtable_sync.cache.entry import Entry
from airtable_sync.changes.payloads import Cells, ChangedRecords
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import Node, current

Names = Mapping[str, Mapping[str, str]]  # of fields, by their table's and their own id


@dataclass
class Hints:
    """Records are table/id."""

    numbers: set[str] = field(default_factory=set)
    # What records link to now, where that was told: nothing, perhaps.
    links: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    branching: set[str] = field(default_factory=set)  # ids of linked records that may link further

    def linked(self) -> set[str]:
        return {each for records in self.links.values() for each in records}

    def moved(self, entry: Entry) -> bool:
        """Whether the number's own record links to nothing any more that the entry was made of."""
        now = self.links.get(entry.records[0]) if entry.records else None
        return now is not None and now.isdisjoint(entry.records)


def hints_of(changed: ChangedRecords, tables: Mapping[str, str], fields: Names) -> Hints:
    """`tables` tells the name behind a table's id, for the mapping's tables."""
    mapping, found = current(), Hints()
    for table, name in tables.items():
        for record, by_id in changed.cells.get(table, {}).items():
            cells = _named(by_id, fields.get(table, {}))
            text = cells.get(mapping.number_field)
            is_root = name == mapping.root.table and isinstance(text, str)
            if is_root and (number := e164(str(text), mapping.region)):
                found.numbers.add(number)
            for child, ids in _links(name, cells):
                found.links[f"{name}/{record}"].update(f"{child.table}/{each}" for each in ids)
                if child.children:
                    found.branching.update(ids)
    return found


def _links(table: str, cells: Cells) -> Iterator[tuple[Node, tuple[str, ...]]]:
    for node in current().root.nodes():
        if node.table != table:
            continue
        for child in node.children:
            ids = cells.get(child.link)
            if isinstance(ids, tuple):
                yield child, ids


def _named(cells: Cells, names: Mapping[str, str]) -> Cells:
    return {names[field_id]: value for field_id, value in cells.items() if field_id in names}
