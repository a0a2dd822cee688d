"""Cells in the change feed's format, which Airtable calls cell format V2.

It differs from REST's format: https://airtable.com/developers/web/api/field-model
"""

from typing import Any

from sandbox.airtable.common.errors import AirtableError
from sandbox.airtable.common.ids import stable_id
from sandbox.airtable.data.cells import is_empty
from sandbox.airtable.data.record_values import ERROR, RecordValues
from sandbox.airtable.data.schema import LINK, Field


def cell_v2(values: RecordValues, field: Field) -> Any:
    """None for an empty cell."""
    if field.type == LINK:
        return [{"id": each.id, "name": each.name} for each in values.linked(field)] or None
    if field.type == "multipleLookupValues" and field.id not in values.record.cells:
        return _lookup(values, field)
    value = values.cell(field)
    if is_empty(value):
        return None
    if field.type == "singleSelect":
        return choice(field, value)
    if field.type == "multipleSelects":
        return [choice(field, name) for name in value]
    return value


def choice(field: Field, name: Any) -> dict[str, Any]:
    """The option of a select field with this name. One without an id gets the same id each time."""
    made = {"id": stable_id("sel", f"{field.id}/{name}"), "name": name}
    defined = [each for each in field.options.get("choices", []) if each["name"] == name]
    return made | defined[0] if defined else made


def _lookup(values: RecordValues, field: Field) -> Any:
    try:
        linked = values.linked(values.link_of(field))
        by_record = {each.id: _looked_up(each, field) for each in linked}
    except AirtableError:  # the lookup names a field that does not exist
        return ERROR
    if not by_record:
        return None
    return {"linkedRecordIds": list(by_record), "valuesByLinkedRecordId": by_record}


def _looked_up(values: RecordValues, field: Field) -> list[Any]:
    value = cell_v2(values, values.table.field(field.options["fieldIdInLinkedTable"]))
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
