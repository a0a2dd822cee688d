"""What the Airtable API returns: https://airtable.com/developers/web/api/list-records"""

from dataclasses import dataclass, field
from typing import Any, TypedDict

from airtable_sync.mapping.field_types import FieldType
from airtable_sync.mapping.known_base import KnownBase


class Record(TypedDict):
    id: str
    createdTime: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class BaseTables:
    """The schema of a base: https://airtable.com/developers/web/api/get-base-schema"""

    fields: dict[str, list[str]]  # table name -> field names
    ids: dict[str, str]  # table name -> table id
    field_names: dict[str, dict[str, str]]  # table id -> field id -> field name
    types: dict[str, dict[str, FieldType | None]] = field(default_factory=dict)
    primary_fields: dict[str, str] = field(default_factory=dict)  # table name -> field name
    views: dict[str, list[str]] = field(default_factory=dict)  # table name -> view names and ids

    def known(self) -> KnownBase:
        types = self.types
        fields = {
            table: {name: types.get(table, {}).get(name) for name in names}
            for table, names in self.fields.items()
        }
        return KnownBase(fields, self.ids, self.field_names, self.primary_fields)
