"""Records as JSON, the way the request asked for."""

from dataclasses import dataclass
from typing import Any

from sandbox.airtable.bases import Record, Table
from sandbox.airtable.cells import is_empty, iso_time
from sandbox.airtable.errors import invalid_request
from sandbox.airtable.parameters import flag, text, texts
from sandbox.airtable.rows import Row
from sandbox.airtable.schema import Field


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

    def record(self, table: Table, record: Record) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": record.id,
            "createdTime": iso_time(record.created_time),
            "fields": self._cells(Row(table, record)),
        }
        return shown | {"commentCount": 0} if self.comment_count else shown

    def _cells(self, row: Row) -> dict[str, Any]:
        cells = {}
        for field in self.fields:
            value = row.shown(field) if self.as_strings else row.cell(field)
            if not is_empty(value):
                cells[field.id if self.by_field_id else field.name] = value
        return cells


def _as_strings(parameters: dict[str, Any]) -> bool:
    wanted = text(parameters, "cellFormat") or "json"
    if wanted not in ("json", "string"):
        raise invalid_request()
    missing = not (text(parameters, "timeZone") and text(parameters, "userLocale"))
    if wanted == "string" and missing:
        raise invalid_request("cellFormat string needs the parameters timeZone and userLocale")
    return wanted == "string"


def _comment_count(parameters: dict[str, Any]) -> bool:
    wanted = texts(parameters, "recordMetadata") or []
    if any(name != "commentCount" for name in wanted):
        raise invalid_request()
    return bool(wanted)
