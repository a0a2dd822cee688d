"""Which computed cells may change when a record does."""

from collections.abc import Iterator
from typing import Any

from sandbox.airtable.cells_v2 import cell_v2
from sandbox.airtable.rows import DEEPEST, Row
from sandbox.airtable.schema import LINK, Field
from sandbox.airtable.tables import Record, Table

FOLLOWING_TYPES = frozenset({"count", "formula", "lastModifiedTime", "multipleLookupValues"})


def following_fields(table: Table) -> list[Field]:
    return [field for field in table.fields if field.type in FOLLOWING_TYPES]


def computed_cells(table: Table, record: Record) -> dict[str, Any]:
    """Field id → cell of the change feed, empty ones as None."""
    row = Row(table, record)
    return {field.id: cell_v2(row, field) for field in following_fields(table)}


def followers(table: Table, record: Record, depth: int = 0) -> Iterator[tuple[Table, Record]]:
    """The record itself and those that see it through links, near or far; some more than once."""
    if following_fields(table):
        yield table, record
    if depth > DEEPEST:
        return
    for other in table.base.tables:
        if following_fields(other):
            for linking in _linking(other, table, record):
                yield from followers(other, linking, depth + 1)


def _linking(other: Table, table: Table, record: Record) -> Iterator[Record]:
    for field in other.fields:
        if field.type != LINK or not table.is_called(field.links_to):
            continue
        if field.inverse:
            ids = record.cells.get(table.field(field.inverse).id, [])
            yield from (other.records[id_] for id_ in ids if id_ in other.records)
        else:
            yield from (r for r in other.records.values() if record.id in r.cells.get(field.id, []))
