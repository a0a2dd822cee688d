"""A transaction as one hook is told of it: first what was done, then what followed from it.

https://airtable.com/developers/web/api/model/webhooks-payload
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sandbox.airtable.cells import iso_time
from sandbox.airtable.cells_v2 import cell_v2
from sandbox.airtable.followers import FOLLOWING_TYPES
from sandbox.airtable.rows import Row
from sandbox.airtable.schema import Field
from sandbox.airtable.tables import Record, Table
from sandbox.airtable.transactions import Cells, Change, TableChanges, Transaction
from sandbox.airtable.webhooks.specification import ADD, DATA, REMOVE, UPDATE, Specification
from sandbox.airtable.webhooks.tables_changed import created_tables, removed_tables, schema_changes

Changed = dict[str, Any]
"""Table id → what the payload says of the table."""


@dataclass(frozen=True)
class Told:
    """One record in a payload: its id with what is said of it, or only its id when deleted."""

    table_id: str
    kind: str
    record_id: str
    content: dict[str, Any] | None = None


def contents(
    transaction: Transaction, specification: Specification, records_per_payload: int
) -> Iterator[dict[str, Any]]:
    """What differs between the payloads of one transaction; nothing when none of it is watched."""
    if specification.sources is not None and transaction.source not in specification.sources:
        return
    tables = [each for each in transaction.tables.values() if specification.covers(each.table.id)]
    direct = _told(_direct(tables, specification), records_per_payload)
    first = next(direct, {})
    for table_id, change in schema_changes(tables, specification):
        first.setdefault(table_id, {}).update(change)
    head: dict[str, Any] = {"changedTablesById": first} if first else {}
    if created := created_tables(transaction, specification):
        head["createdTablesById"] = created
    if removed := removed_tables(transaction, specification):
        head["destroyedTableIds"] = removed
    if head:
        yield head
    for changed in direct:
        yield {"changedTablesById": changed}
    for changed in _told(_followed(tables, specification), records_per_payload):
        yield {"changedTablesById": changed}


def _told(records: Iterator[Told], size: int) -> Iterator[Changed]:
    while batch := list(islice(records, size)):
        changed: Changed = {}
        for each in batch:
            table = changed.setdefault(each.table_id, {})
            if each.content is None:
                table.setdefault(each.kind, []).append(each.record_id)
            else:
                table.setdefault(each.kind, {})[each.record_id] = each.content
        yield changed


def _direct(tables: list[TableChanges], wanted: Specification) -> Iterator[Told]:
    for changes in tables:
        yield from _created(changes, wanted)
        yield from _changed(changes, changes.changed, wanted)
        if wanted.wants(DATA, REMOVE):
            for record_id in changes.deleted:
                yield Told(changes.table.id, "destroyedRecordIds", record_id)


def _followed(tables: list[TableChanges], wanted: Specification) -> Iterator[Told]:
    for changes in tables:
        yield from _changed(changes, changes.followed, wanted)


def _created(changes: TableChanges, wanted: Specification) -> Iterator[Told]:
    if not wanted.wants(DATA, ADD):
        return
    for record in changes.created.values():
        cells = _cells_at_birth(changes.table, record)
        if wanted.watched_data is not None and not wanted.watched_data & cells.keys():
            continue
        shown = {"createdTime": iso_time(record.created_time), "cellValuesByFieldId": cells}
        yield Told(changes.table.id, "createdRecordsById", record.id, shown)


def _changed(
    changes: TableChanges, records: dict[str, Change], wanted: Specification
) -> Iterator[Told]:
    if not wanted.wants(DATA, UPDATE):
        return
    for record_id, change in records.items():
        after = _watched(change.after, wanted)
        if not after:
            continue
        shown: dict[str, Any] = {"current": {"cellValuesByFieldId": after}}
        if wanted.previous_cells:
            shown["previous"] = {"cellValuesByFieldId": _watched(change.before, wanted)}
        if unchanged := _included(changes.table, record_id, change, wanted):
            shown["unchanged"] = {"cellValuesByFieldId": unchanged}
        yield Told(changes.table.id, "changedRecordsById", record_id, shown)


def _watched(cells: Cells, wanted: Specification) -> Cells:
    if wanted.watched_data is None:
        return cells
    return {name: value for name, value in cells.items() if name in wanted.watched_data}


def _included(table: Table, record_id: str, change: Change, wanted: Specification) -> Cells:
    """The cells asked for that did not change, empty ones left out."""
    if not wanted.included_cells:
        return {}
    row = Row(table, table.records[record_id])
    fields = [each for each in table.fields if _includes(wanted, each)]
    cells = {each.id: cell_v2(row, each) for each in fields if each.id not in change.after}
    return {name: value for name, value in cells.items() if value is not None}


def _includes(wanted: Specification, field: Field) -> bool:
    return wanted.included_cells == "all" or field.id in wanted.included_cells


def _cells_at_birth(table: Table, record: Record) -> Cells:
    """Without those that are worked out afterwards."""
    row = Row(table, record)
    fields = [each for each in table.fields if each.type not in FOLLOWING_TYPES]
    cells = {each.id: cell_v2(row, each) for each in fields}
    return {name: value for name, value in cells.items() if value is not None}
