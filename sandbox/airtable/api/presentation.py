"""Records as JSON: which fields, named how, in which format."""

from dataclasses import dataclass
from typing import Any

from sandbox.airtable.api.parameters import flag, text, texts
from sandbox.airtable.common.clock import iso_time
from sandbox.airtable.common.errors import invalid_request
from sandbox.airtable.data.cells import is_empty
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table


@dataclass(frozen=True)
class Presentation:
    fields: tuple[Field, ...]
    by_field_id: bool = False
    as_strings: bool = False
    comment_count: bool = False

    @classmethod
    def of(cls, table: Table, parameters: dict[str, Any]) -> "Presentation":
        names = texts(parameters, "fields")
        fields = table.fields if names is None else [table.field(name) for name in names]
        return cls(
            tuple(fields),
            flag(parameters, "returnFieldsByFieldId"),
            _as_strings(parameters),
            _comment_count(parameters),
        )

    def to_json(self, table: Table, record: Record) -> dict[str, Any]:
        result: dict[str, Any] = {
            "id": record.id,
            "createdTime": iso_time(record.created_time),
            "fields": self._cells(RecordValues(table, record)),
        }
        return result | {"commentCount": 0} if self.comment_count else result

    def _cells(self, values: RecordValues) -> dict[str, Any]:
        cells = {}
        for field in self.fields:
            value = values.display_text(field) if self.as_strings else values.cell(field)
            if not is_empty(value):
                cells[field.id if self.by_field_id else field.name] = value
        return cells


def _as_strings(parameters: dict[str, Any]) -> bool:
    cell_format = text(parameters, "cellFormat") or "json"
    if cell_format not in ("json", "string"):
        raise invalid_request()
    missing = not (text(parameters, "timeZone") and text(parameters, "userLocale"))
    if cell_format == "string" and missing:
        raise invalid_request("cellFormat string needs the parameters timeZone and userLocale")
    return cell_format == "string"


def _comment_count(parameters: dict[str, Any]) -> bool:
    metadata = texts(parameters, "recordMetadata") or []
    if any(name != "commentCount" for name in metadata):
        raise invalid_request()
    return bool(metadata)
