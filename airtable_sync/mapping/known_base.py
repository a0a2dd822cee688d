"""What is known of a base: its tables, and their fields with their types."""

from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, replace

from airtable_sync.mapping.field_types import FieldType

Fields = AbstractMapping[str, FieldType | None]  # a table's fields by name; None: unknown type


@dataclass(frozen=True)
class KnownBase:
    """Tables are given by name. What is not known is missing."""

    fields: AbstractMapping[str, Fields] = field(default_factory=dict)
    table_ids: AbstractMapping[str, str] = field(default_factory=dict)
    field_names: AbstractMapping[str, AbstractMapping[str, str]] = field(default_factory=dict)
    primary_fields: AbstractMapping[str, str] = field(default_factory=dict)

    def table_name(self, name_or_id: str) -> str:
        if name_or_id in self.table_ids:
            return name_or_id
        return next((n for n, id_ in self.table_ids.items() if id_ == name_or_id), name_or_id)

    def field_name(self, table: str, name_or_id: str) -> str:
        if name_or_id in self.fields.get(table, ()):
            return name_or_id
        names = self.field_names.get(self.table_ids.get(table, ""), {})
        return names.get(name_or_id, name_or_id)

    def with_fields(self, seen: AbstractMapping[str, Iterable[str]]) -> "KnownBase":
        """Also with fields that records were seen with."""
        fields = {
            table: {**dict.fromkeys(seen.get(table, ())), **self.fields.get(table, {})}
            for table in {**self.fields, **seen}
        }
        return replace(self, fields=fields)

    def type_of(self, table: str, name: str) -> FieldType | None:
        return self.fields.get(table, {}).get(name)
