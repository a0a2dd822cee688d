"""Cells as the change feed shows them, which is not how records show them.

https://airtable.com/developers/web/api/field-model ("cell format" V2)
"""

from typing import Any

from sandbox.airtable.cells import is_empty
from sandbox.airtable.errors import AirtableError
from sandbox.airtable.ids import stable_id
from sandbox.airtable.rows import ERROR, Row
from sandbox.airtable.schema import LINK, Field


def cell_v2(row: Row, field: Field) -> Any:
    """None is an empty cell."""
    if field.type == LINK:
        return [{"id": each.id, "name": each.name} for each in row.linked(field)] or None
    if field.type == "multipleLookupValues" and field.id not in row.record.cells:
        return _lookup(row, field)
    value = row.cell(field)
    if is_empty(value):
        return None
    if field.type == "singleSelect":
        return _choice(field, value)
    if field.type == "multipleSelects":
        return [_choice(field, name) for name in value]
    return value


def _choice(field: Field, name: Any) -> dict[str, Any]:
    choice = {"id": stable_id("sel", f"{field.id}/{name}"), "name": name}
    known = [each for each in field.options.get("choices", []) if each["name"] == name]
    return choice | known[0] if known else choice


def _lookup(row: Row, field: Field) -> Any:
    try:
        linked = row.linked(row.link_of(field))
        values = {each.id: _values(each, field) for each in linked}
    except AirtableError:  # a field that it names is not there
        return ERROR
    return {"linkedRecordIds": list(values), "valuesByLinkedRecordId": values} if values else None


def _values(row: Row, field: Field) -> list[Any]:
    value = cell_v2(row, row.table.field(field.options["fieldIdInLinkedTable"]))
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
