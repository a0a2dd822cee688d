"""Changes of the schema, as a payload tells them."""

from collections.abc import Iterator
from typing import Any

from sandbox.airtable.schema import Field
from sandbox.airtable.tables import Table
from sandbox.airtable.transactions import TableChanges, Transaction
from sandbox.airtable.webhooks.specification import (
    ADD,
    FIELDS,
    METADATA,
    REMOVE,
    UPDATE,
    Specification,
)


def schema_changes(
    tables: list[TableChanges], wanted: Specification
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of tables that were there before: table id, and what is said of it."""
    for changes in tables:
        said = _fields(changes, wanted)
        if changes.previous_name and wanted.wants(METADATA, UPDATE):
            said["changedMetadata"] = {
                "current": {"name": changes.table.name},
                "previous": {"name": changes.previous_name},
            }
        if said:
            yield changes.table.id, said


def created_tables(transaction: Transaction, wanted: Specification) -> dict[str, Any]:
    """Told to hooks of the whole base."""
    if wanted.scope or ADD not in wanted.change_types:
        return {}
    return {table.id: _new_table(table, wanted) for table in transaction.created_tables}


def removed_tables(transaction: Transaction, wanted: Specification) -> list[str]:
    """Told to hooks of the whole base."""
    if wanted.scope or REMOVE not in wanted.change_types:
        return []
    return transaction.removed_tables


def _fields(changes: TableChanges, wanted: Specification) -> dict[str, Any]:
    said: dict[str, Any] = {}
    there = {field.id: field for field in changes.table.fields}
    created = [field for field in changes.created_fields if field.id in there]
    if created and wanted.watched_schemas is None and wanted.wants(FIELDS, ADD):
        said["createdFieldsById"] = {field.id: _definition(field) for field in created}
    changed = {
        field_id: _changed_field(before, there[field_id], wanted)
        for field_id, before in changes.changed_fields.items()
        if field_id in there and _watches(wanted, field_id)
    }
    if changed and wanted.wants(FIELDS, UPDATE):
        said["changedFieldsById"] = changed
    removed = [each for each in changes.removed_fields if _watches(wanted, each)]
    if removed and wanted.wants(FIELDS, REMOVE):
        said["destroyedFieldIds"] = removed
    return said


def _changed_field(before: dict[str, str], field: Field, wanted: Specification) -> dict[str, Any]:
    now = _definition(field)
    differing = [name for name in now if now[name] != before[name]]
    said: dict[str, Any] = {"current": {name: now[name] for name in differing}}
    if wanted.previous_fields:
        said["previous"] = {name: before[name] for name in differing}
    return said


def _watches(wanted: Specification, field_id: str) -> bool:
    return wanted.watched_schemas is None or field_id in wanted.watched_schemas


def _new_table(table: Table, wanted: Specification) -> dict[str, Any]:
    """Its records, if it has any yet, come as those of any other table."""
    shown: dict[str, Any] = {}
    if METADATA in wanted.data_types:
        shown["metadata"] = {"name": table.name, "description": None}
    if FIELDS in wanted.data_types:
        shown["fieldsById"] = {field.id: _definition(field) for field in table.fields}
    return shown


def _definition(field: Field) -> dict[str, str]:
    return {"name": field.name, "type": field.type}
