"""Changes of fields and tables in a payload."""

from collections.abc import Iterator
from typing import Any

from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.data.transactions import TableChanges, Transaction
from sandbox.airtable.webhooks.specification import (
    ADD,
    FIELDS,
    METADATA,
    REMOVE,
    UPDATE,
    Specification,
)


def schema_changes(
    tables: list[TableChanges], specification: Specification
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Changed tables: the id and the content, without new and removed tables."""
    for changes in tables:
        content = _field_changes(changes, specification)
        if changes.previous_name and specification.wants(METADATA, UPDATE):
            content["changedMetadata"] = {
                "current": {"name": changes.table.name},
                "previous": {"name": changes.previous_name},
            }
        if content:
            yield changes.table.id, content


def created_tables(transaction: Transaction, specification: Specification) -> dict[str, Any]:
    """Only for webhooks of the whole base."""
    if specification.scope or ADD not in specification.change_types:
        return {}
    return {table.id: _new_table(table, specification) for table in transaction.created_tables}


def removed_tables(transaction: Transaction, specification: Specification) -> list[str]:
    """Only for webhooks of the whole base."""
    if specification.scope or REMOVE not in specification.change_types:
        return []
    return transaction.removed_tables


def _field_changes(changes: TableChanges, specification: Specification) -> dict[str, Any]:
    content: dict[str, Any] = {}
    existing = {field.id: field for field in changes.table.fields}
    created = [field for field in changes.created_fields if field.id in existing]
    if created and specification.watched_schemas is None and specification.wants(FIELDS, ADD):
        content["createdFieldsById"] = {field.id: _definition(field) for field in created}
    changed = {
        field_id: _changed_field(before, existing[field_id], specification)
        for field_id, before in changes.changed_fields.items()
        if field_id in existing and _watches(specification, field_id)
    }
    if changed and specification.wants(FIELDS, UPDATE):
        content["changedFieldsById"] = changed
    removed = [each for each in changes.removed_fields if _watches(specification, each)]
    if removed and specification.wants(FIELDS, REMOVE):
        content["destroyedFieldIds"] = removed
    return content


def _changed_field(
    before: dict[str, str], field: Field, specification: Specification
) -> dict[str, Any]:
    now = _definition(field)
    differing = [name for name in now if now[name] != before[name]]
    content: dict[str, Any] = {"current": {name: now[name] for name in differing}}
    if specification.previous_fields:
        content["previous"] = {name: before[name] for name in differing}
    return content


def _watches(specification: Specification, field_id: str) -> bool:
    return specification.watched_schemas is None or field_id in specification.watched_schemas


def _new_table(table: Table, specification: Specification) -> dict[str, Any]:
    """Without records: they are reported like those of any other table."""
    content: dict[str, Any] = {}
    if METADATA in specification.data_types:
        content["metadata"] = {"name": table.name, "description": None}
    if FIELDS in specification.data_types:
        content["fieldsById"] = {field.id: _definition(field) for field in table.fields}
    return content


def _definition(field: Field) -> dict[str, str]:
    return {"name": field.name, "type": field.type}
