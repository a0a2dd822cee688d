"""What payloads say about cells. It decides nothing: it only shows what else to read in the same
round trip, instead of following links step by step."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from airtable_sync.cache.entry import Entry
from airtable_sync.changes.payloads import Cells, ChangedRecords
from airtable_sync.mapping.number_reader import texts_of
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.schema import Mapping as BaseMapping
from airtable_sync.mapping.schema import Node

FieldNames = Mapping[str, Mapping[str, str]]  # table id -> field id -> field name


@dataclass
class ExpectedCells:
    """Records are "table/rec…"."""

    numbers: set[str] = field(default_factory=set)
    # record -> the records that it links to now, as far as payloads said
    links: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    branching: set[str] = field(default_factory=set)  # ids of linked records that may link further

    def linked_records(self) -> set[str]:
        return {each for records in self.links.values() for each in records}

    def has_moved(self, entry: Entry) -> bool:
        """Whether the number's record links to none of the records that the entry was made of."""
        now = self.links.get(entry.records[0]) if entry.records else None
        return now is not None and now.isdisjoint(entry.records)


def expected_cells(
    changed: ChangedRecords, mapping: BaseMapping, tables: Mapping[str, str], fields: FieldNames
) -> ExpectedCells:
    """`tables` has the names of the mapping's tables by id."""
    found = ExpectedCells()
    for table_id, table in tables.items():
        for record, cells_by_id in changed.cells.get(table_id, {}).items():
            cells = _by_name(cells_by_id, fields.get(table_id, {}))
            found.numbers.update(_numbers(mapping, table, cells))
            for child, ids in _links(mapping, table, cells):
                found.links[f"{table}/{record}"].update(f"{child.table}/{each}" for each in ids)
                if child.children:
                    found.branching.update(ids)
    return found


def _numbers(mapping: BaseMapping, table: str, cells: Cells) -> Iterator[str]:
    for root in mapping.roots:
        for name in root.number_fields if root.table == table else ():
            text = cells.get(name)
            if isinstance(text, str):
                for each in texts_of(root, text):
                    if number := to_e164(each, root.region):
                        yield number


def _links(
    mapping: BaseMapping, table: str, cells: Cells
) -> Iterator[tuple[Node, tuple[str, ...]]]:
    for node in mapping.nodes():
        if node.table != table:
            continue
        for child in node.children:
            ids = cells.get(child.link)
            if isinstance(ids, tuple):
                yield child, ids


def _by_name(cells: Cells, names: Mapping[str, str]) -> Cells:
    return {names[field_id]: value for field_id, value in cells.items() if field_id in names}
