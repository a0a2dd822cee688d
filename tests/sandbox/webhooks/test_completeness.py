"""The payloads are complete: applied to a copy of the base, they give the base."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.airtable.data.bases import Base
from sandbox.airtable.data.cells_v2 import cell_v2
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.tables import Table
from sandbox.airtable.server import Sandbox
from sandbox.airtable.webhooks.settings import WebhookSettings
from tests.sandbox.webhook_support import base_with_computed_fields, contents, specification, watch

Copy = dict[str, dict[str, dict[str, Any]]]
"""Table id → record id → field id → cell, without empty cells."""

KINDS = ("create", "update", "replace", "delete")
EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 9), st.text(max_size=2)),
    max_size=12,
)


@given(inverse=st.sampled_from(["Owners", ""]), actions=st.lists(EDITS, max_size=6))
@pytest.mark.slow
def test_a_copy_updated_from_payloads_equals_the_base(inverse: str, actions: list[Any]) -> None:
    base = base_with_computed_fields(inverse)
    edit(base, [("create", number % 3, number, "x") for number in range(6)])
    copy = copied(base)
    settings = WebhookSettings(records_per_payload=2)
    webhook = watch(Sandbox([base], webhooks=settings), base, specification())
    for edits in actions:
        with base.transaction():
            edit(base, edits)
    for content in contents(webhook):
        apply(copy, content["changedTablesById"])
    assert without_names(copy) == without_names(copied(base))


def edit(base: Base, edits: list[Any]) -> None:
    for kind, table_number, number, text in edits:
        table = base.tables[table_number]
        ids = list(table.records)
        if kind == "create":
            table.create(cells(base, table, number, text))
        elif ids and kind == "delete":
            table.delete(ids[number % len(ids)])
        elif ids:
            values = cells(base, table, number, text)
            table.update(ids[number % len(ids)], values, replace=kind == "replace")


def cells(base: Base, table: Table, number: int, text: str) -> dict[str, Any]:
    values: dict[str, Any] = {table.fields[0].name: text}
    link = table.fields[1]
    if link.links_to:
        ids = list(base.table(link.links_to).records)
        values[link.name] = ids[: number % 4]
    else:
        values["Plan"] = text
    return values


def copied(base: Base) -> Copy:
    return {
        table.id: {record_id: filled(table, record_id) for record_id in table.records}
        for table in base.tables
    }


def filled(table: Table, record_id: str) -> dict[str, Any]:
    row = RecordValues(table, table.records[record_id])
    values = {field.id: cell_v2(row, field) for field in table.fields}
    return {field_id: value for field_id, value in values.items() if value is not None}


def apply(copy: Copy, changes: dict[str, Any]) -> None:
    for table_id, changed in changes.items():
        records = copy[table_id]
        for record_id, record in changed.get("createdRecordsById", {}).items():
            records[record_id] = dict(record["cellValuesByFieldId"])
        for record_id, record in changed.get("changedRecordsById", {}).items():
            for field_id, value in record["current"]["cellValuesByFieldId"].items():
                if value is None:
                    records[record_id].pop(field_id, None)
                else:
                    records[record_id][field_id] = value
        for record_id in changed.get("destroyedRecordIds", []):
            del records[record_id]


def without_names(copy: Copy) -> Any:
    """A link cell is not reported when only the linked record's name changed."""
    return {
        table_id: {
            record_id: {field_id: _ids(value) for field_id, value in values.items()}
            for record_id, values in records.items()
        }
        for table_id, records in copy.items()
    }


def _ids(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict) and "id" in value[0]:
        return [each["id"] for each in value]
    return value
