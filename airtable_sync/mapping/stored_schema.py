"""A base's schema as it is stored in Redis: by id, so that a field keeps its type when it is
renamed."""

import time
from typing import Any, TypedDict

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.records import BaseTables


class StoredSchema(TypedDict):
    fields: dict[str, list[str]]
    ids: dict[str, str]
    field_names: dict[str, dict[str, str]]
    types: dict[str, dict[str, Any]]  # table id -> field id -> `FieldType.to_json`
    primary_fields: dict[str, str]  # table id -> field id
    read_at: float  # when the schema was read, seconds since 1970; 0 if never, or outdated


def stored_now(tables: BaseTables) -> StoredSchema:
    """A schema that was just read."""
    return StoredSchema(
        fields=tables.fields,
        ids=tables.ids,
        field_names=tables.field_names,
        types=_types_by_id(tables),
        primary_fields=_primary_fields_by_id(tables),
        read_at=time.time(),
    )


def known_base(stored: StoredSchema) -> KnownBase:
    ids, names, types = stored["ids"], stored["field_names"], stored["types"]
    fields: dict[str, dict[str, FieldType | None]] = {}
    for table, listed in stored["fields"].items():
        table_id = ids.get(table, "")
        by_name = {
            name: types.get(table_id, {}).get(field_id)
            for field_id, name in names.get(table_id, {}).items()
        }
        fields[table] = {name: FieldType.from_json(by_name.get(name)) for name in listed}
    primary_fields = {
        table: names.get(table_id, {}).get(stored["primary_fields"].get(table_id, ""), "")
        for table, table_id in ids.items()
    }
    return KnownBase(fields, ids, names, primary_fields)


def _types_by_id(tables: BaseTables) -> dict[str, dict[str, Any]]:
    return {
        table_id: {
            field_id: type_.to_json()
            for field_id, name in tables.field_names[table_id].items()
            if (type_ := tables.types.get(table, {}).get(name))
        }
        for table, table_id in tables.ids.items()
    }


def _primary_fields_by_id(tables: BaseTables) -> dict[str, str]:
    return {
        table_id: field_id
        for table, table_id in tables.ids.items()
        for field_id, name in tables.field_names[table_id].items()
        if name == tables.primary_fields.get(table)
    }


def empty_schema() -> StoredSchema:
    return {
        "fields": {},
        "ids": {},
        "field_names": {},
        "types": {},
        "primary_fields": {},
        "read_at": 0.0,
    }


def is_valid(value: Any) -> bool:
    """Whether this is a schema in today's format, not in that of another version."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("read_at"), int | float)
        and isinstance(value.get("fields"), dict)
        and isinstance(value.get("ids"), dict)
        and isinstance(value.get("field_names"), dict)
        and isinstance(value.get("types"), dict)
        and isinstance(value.get("primary_fields"), dict)
        and all(isinstance(names, list) for names in value["fields"].values())
    )
