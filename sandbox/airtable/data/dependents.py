"""Computed fields that may change when a record changes: in the record itself or through links."""

from collections.abc import Iterator
from typing import Any

from sandbox.airtable.data.cells_v2 import cell_v2
from sandbox.airtable.data.record_values import MAX_DEPTH, RecordValues
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table

DEPENDENT_TYPES = frozenset({"count", "formula", "lastModifiedTime", "multipleLookupValues"})


def dependent_fields(table: Table) -> list[Field]:
    return [field for field in table.fields if field.type in DEPENDENT_TYPES]


def dependent_cells(table: Table, record: Record) -> dict[str, Any]:
    """Field id → cell in the change feed's format, with None for empty cells."""
    values = RecordValues(table, record)
    return {field.id: cell_v2(values, field) for field in dependent_fields(table)}


def dependent_records(
    table: Table, record: Record, depth: int = 0
) -> Iterator[tuple[Table, Record]]:
    """The record, and those that link to it, directly or not. Some come more than once."""
    if dependent_fields(table):
        yield table, record
    if depth > MAX_DEPTH:
        return
    for other in table.base.tables:
        if dependent_fields(other):
            for linking in _linking(other, table, record):
                yield from dependent_records(other, linking, depth + 1)


def _linking(other: Table, table: Table, record: Record) -> Iterator[Record]:
    """The records of the other table that link to the record."""
    for field in other.fields:
        if field.type != LINK or not table.matches(field.links_to):
            continue
        if field.inverse:
            ids = record.cells.get(table.field(field.inverse).id, [])
            yield from (other.records[each] for each in ids if each in other.records)
        else:
            yield from (r for r in other.records.values() if record.id in r.cells.get(field.id, []))
