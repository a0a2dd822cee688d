"""Payloads of one transaction for one webhook: first the edits, then the recomputed cells.

https://airtable.com/developers/web/api/model/webhooks-payload
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sandbox.airtable.common.clock import iso_time
from sandbox.airtable.data.cells_v2 import cell_v2
from sandbox.airtable.data.dependents import DEPENDENT_TYPES
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.data.transactions import Cells, Change, TableChanges, Transaction
from sandbox.airtable.webhooks.schema_payloads import created_tables, removed_tables, schema_changes
from sandbox.airtable.webhooks.specification import ADD, DATA, REMOVE, UPDATE, Specification

ChangedTables = dict[str, Any]
"""A payload's changedTablesById."""


@dataclass(frozen=True)
class RecordChange:
    """One record in a payload. A deleted record has no content."""

    table_id: str
    kind: str
    record_id: str
    content: dict[str, Any] | None = None


def payload_contents(
    transaction: Transaction, specification: Specification, records_per_payload: int
) -> Iterator[dict[str, Any]]:
    """The payloads, each without its envelope. None if the webhook watches none of the changes."""
    if specification.sources is not None and transaction.source not in specification.sources:
        return
    tables = [
        each for each in transaction.tables.values() if specification.includes_table(each.table.id)
    ]
    edited = _in_batches(_edited_records(tables, specification), records_per_payload)
    first = next(edited, {})
    for table_id, change in schema_changes(tables, specification):
        first.setdefault(table_id, {}).update(change)
    head: dict[str, Any] = {"changedTablesById": first} if first else {}
    if created := created_tables(transaction, specification):
        head["createdTablesById"] = created
    if removed := removed_tables(transaction, specification):
        head["destroyedTableIds"] = removed
    if head:
        yield head
    for changed in edited:
        yield {"changedTablesById": changed}
    for changed in _in_batches(_recomputed_records(tables, specification), records_per_payload):
        yield {"changedTablesById": changed}


def _in_batches(records: Iterator[RecordChange], size: int) -> Iterator[ChangedTables]:
    while batch := list(islice(records, size)):
        changed: ChangedTables = {}
        for each in batch:
            table = changed.setdefault(each.table_id, {})
            if each.content is None:
                table.setdefault(each.kind, []).append(each.record_id)
            else:
                table.setdefault(each.kind, {})[each.record_id] = each.content
        yield changed


def _edited_records(
    tables: list[TableChanges], specification: Specification
) -> Iterator[RecordChange]:
    for changes in tables:
        yield from _created(changes, specification)
        yield from _changed(changes, changes.changed, specification)
        if specification.wants(DATA, REMOVE):
            for record_id in changes.deleted:
                yield RecordChange(changes.table.id, "destroyedRecordIds", record_id)


def _recomputed_records(
    tables: list[TableChanges], specification: Specification
) -> Iterator[RecordChange]:
    for changes in tables:
        yield from _changed(changes, changes.recomputed, specification)


def _created(changes: TableChanges, specification: Specification) -> Iterator[RecordChange]:
    if not specification.wants(DATA, ADD):
        return
    for record in changes.created.values():
        cells = _initial_cells(changes.table, record)
        watched = specification.watched_data
        if watched is not None and not watched & cells.keys():
            continue
        content = {"createdTime": iso_time(record.created_time), "cellValuesByFieldId": cells}
        yield RecordChange(changes.table.id, "createdRecordsById", record.id, content)


def _changed(
    changes: TableChanges, records: dict[str, Change], specification: Specification
) -> Iterator[RecordChange]:
    if not specification.wants(DATA, UPDATE):
        return
    for record_id, change in records.items():
        after = _watched(change.after, specification)
        if not after:
            continue
        content: dict[str, Any] = {"current": {"cellValuesByFieldId": after}}
        if specification.previous_cells:
            before = _watched(change.before, specification)
            content["previous"] = {"cellValuesByFieldId": before}
        if unchanged := _unchanged_cells(changes.table, record_id, change, specification):
            content["unchanged"] = {"cellValuesByFieldId": unchanged}
        yield RecordChange(changes.table.id, "changedRecordsById", record_id, content)


def _watched(cells: Cells, specification: Specification) -> Cells:
    watched = specification.watched_data
    if watched is None:
        return cells
    return {field_id: value for field_id, value in cells.items() if field_id in watched}


def _unchanged_cells(
    table: Table, record_id: str, change: Change, specification: Specification
) -> Cells:
    """The cells of includeCellValuesInFieldIds that did not change, without empty ones."""
    if not specification.included_cells:
        return {}
    fields = [each for each in table.fields if _includes(specification, each)]
    unchanged = [each for each in fields if each.id not in change.after]
    return _filled_cells(table, table.records[record_id], unchanged)


def _includes(specification: Specification, field: Field) -> bool:
    return specification.included_cells == "all" or field.id in specification.included_cells


def _initial_cells(table: Table, record: Record) -> Cells:
    """Without the cells that depend on others: they come in a later payload."""
    fields = [each for each in table.fields if each.type not in DEPENDENT_TYPES]
    return _filled_cells(table, record, fields)


def _filled_cells(table: Table, record: Record, fields: list[Field]) -> Cells:
    values = RecordValues(table, record)
    cells = {each.id: cell_v2(values, each) for each in fields}
    return {field_id: value for field_id, value in cells.items() if value is not None}
