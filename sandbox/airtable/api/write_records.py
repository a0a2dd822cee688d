"""Creates, updates and deletes records, at most ten per request.

A request is checked completely before any record is changed.
"""

from typing import Any

from sandbox.airtable.api.endpoint import Call
from sandbox.airtable.api.parameters import flag, from_query, texts
from sandbox.airtable.api.presentation import Presentation
from sandbox.airtable.common.errors import (
    invalid_request,
    missing_body_field,
    not_found,
    row_does_not_exist,
)
from sandbox.airtable.data.cells import accept
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import LINK
from sandbox.airtable.data.tables import Table

MAX_RECORDS = 10


def create_records(call: Call) -> dict[str, Any]:
    if "records" not in call.request.json:
        return _create_one(call)
    batch = [_fields(call, item) for item in _batch(call)]
    return _list_to_json(call, [call.table.create(fields) for fields in batch])


def update_records(call: Call) -> dict[str, Any]:
    if "performUpsert" in call.request.json:
        return upsert_records(call)
    batch = [(_existing_id(call.table, item), _fields(call, item)) for item in _batch(call)]
    return _list_to_json(call, [_update(call, *each) for each in batch])


def upsert_records(call: Call) -> dict[str, Any]:
    """Finds the records by id, if one is given, otherwise by the fields to merge on."""
    merge_on = _merge_fields(call)
    found = [(_match(call, item, merge_on), _fields(call, item)) for item in _batch(call)]
    records = [
        _update(call, record_id, fields) if record_id else call.table.create(fields)
        for record_id, fields in found
    ]
    updated = [record_id for record_id, _ in found if record_id]
    created = [record.id for record in records if record.id not in updated]
    return _list_to_json(call, records) | {"createdRecords": created, "updatedRecords": updated}


def delete_records(call: Call) -> dict[str, Any]:
    ids = texts(call.request.parameters, "records")
    if not ids or len(ids) > MAX_RECORDS:
        raise invalid_request()
    for record_id in ids:
        call.table.record(record_id)
    return {"records": [_delete(call.table, record_id) for record_id in dict.fromkeys(ids)]}


def update_record(call: Call) -> dict[str, Any]:
    record = existing_record(call)
    return _to_json(call, _update(call, record.id, _fields(call, call.request.json)))


def delete_record(call: Call) -> dict[str, Any]:
    return _delete(call.table, existing_record(call).id)


def existing_record(call: Call) -> Record:
    record = call.table.records.get(call.path["record"])
    if record is None:
        raise not_found()
    return record


def _create_one(call: Call) -> dict[str, Any]:
    return _to_json(call, call.table.create(_fields(call, call.request.json)))


def _update(call: Call, record_id: str, fields: dict[str, Any]) -> Record:
    """PUT empties the fields that are not given."""
    return call.table.update(record_id, fields, replace=call.request.method == "PUT")


def _delete(table: Table, record_id: str) -> dict[str, Any]:
    table.delete(record_id)
    return {"id": record_id, "deleted": True}


def _batch(call: Call) -> list[dict[str, Any]]:
    items = call.request.json.get("records")
    if items is None:
        raise missing_body_field("records")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_RECORDS:
        raise invalid_request()
    if not all(isinstance(item, dict) for item in items):
        raise invalid_request()
    return items


def _existing_id(table: Table, item: dict[str, Any]) -> str:
    record_id = item.get("id")
    if not isinstance(record_id, str):
        raise invalid_request()
    return table.record(record_id).id


def _fields(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    """Field id → checked value."""
    if "fields" not in item:
        raise missing_body_field("fields")
    if not isinstance(item["fields"], dict):
        raise invalid_request()
    typecast = flag(call.request.json, "typecast")
    return {
        call.table.field(name).id: _accept(call.table, name, value, typecast=typecast)
        for name, value in item["fields"].items()
    }


def _accept(table: Table, name: str, value: Any, *, typecast: bool) -> Any:
    field = table.field(name)
    value = accept(field, value, typecast=typecast)
    if field.type == LINK:
        records = table.base.table(field.links_to).records
        for missing in [each for each in value or [] if each not in records]:
            raise row_does_not_exist(missing)
    return value


def _merge_fields(call: Call) -> list[str]:
    options = call.request.json["performUpsert"]
    names = texts(options, "fieldsToMergeOn") if isinstance(options, dict) else None
    if not names or len(names) > 3:
        raise invalid_request()
    return [call.table.field(name).id for name in names]


def _match(call: Call, item: dict[str, Any], merge_on: list[str]) -> str:
    """The id of the record to update, or "" if one has to be created."""
    if "id" in item:
        return _existing_id(call.table, item)
    values = _fields(call, item)
    found = [
        record.id
        for record in call.table.records.values()
        if all(record.cells.get(field_id) == values.get(field_id) for field_id in merge_on)
    ]
    if len(found) > 1:
        raise row_does_not_exist("(more than one record matches)")
    return found[0] if found else ""


def _presentation(call: Call) -> Presentation:
    """Ignores the body's "fields": here they are values, not the names of fields to return."""
    name = "returnFieldsByFieldId"
    parameters = from_query(call.request.query) | call.request.json
    return Presentation.of(call.table, {name: parameters.get(name)})


def _to_json(call: Call, record: Record) -> dict[str, Any]:
    return _presentation(call).to_json(call.table, record)


def _list_to_json(call: Call, records: list[Record]) -> dict[str, Any]:
    presentation = _presentation(call)
    return {"records": [presentation.to_json(call.table, record) for record in records]}
