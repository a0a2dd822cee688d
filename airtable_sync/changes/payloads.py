"""The change feed's payloads become a list of records to read again. Cells in payloads have another
format than records: they only help to guess what else to read.
https://airtable.com/developers/web/api/list-webhook-payloads"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FORMAT = "v0"
MAX_RECORDS_WITH_CELLS = 1000  # if more changed, cells do not help
Cells = dict[str, str | tuple[str, ...]]  # by field id: a text, or the ids of linked records


@dataclass
class ChangedRecords:
    """What changed, by table id. `unknown_payloads` counts payloads of an unknown format: they make
    a full refresh necessary."""

    records: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    destroyed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    tables_with_changed_fields: set[str] = field(default_factory=set)  # or with a new name
    has_changed_tables: bool = False  # tables were created, deleted or renamed
    # table id -> field id -> the field's name now; None for a deleted field
    fields: defaultdict[str, dict[str, str | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    existing_fields: set[str] = field(default_factory=set)  # changed ones that are not new
    has_new_types: bool = False  # a field was created, or has another type now
    # table id -> record id -> its cells, in the payloads' format
    cells: defaultdict[str, dict[str, Cells]] = field(default_factory=lambda: defaultdict(dict))
    edited_at: list[float] = field(default_factory=list)  # seconds since 1970
    unknown_payloads: int = 0
    error_code: str = ""  # Airtable's, if the webhook delivers no more payloads

    def touched(self, table: str) -> set[str]:
        return self.records.get(table, set()) | self.destroyed.get(table, set())

    def __bool__(self) -> bool:
        return bool(
            self.records
            or self.destroyed
            or self.tables_with_changed_fields
            or self.unknown_payloads
        )

    def add(self, payload: Any) -> None:
        """Add one payload, of any shape. Never raises."""
        if isinstance(payload, dict) and payload.get("error"):
            code = payload.get("code")
            self.error_code = code[:50] if code and isinstance(code, str) else "unknown"
            return
        try:
            self._add(payload)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.unknown_payloads += 1

    def _add(self, payload: dict[str, Any]) -> None:
        if payload["payloadFormat"] != FORMAT:
            raise ValueError(payload["payloadFormat"])
        moment = datetime.fromisoformat(payload["timestamp"]).timestamp()
        for table, changes in payload.get("changedTablesById", {}).items():
            self._add_table(table, changes)
        if others := (
            _ids(payload.get("createdTablesById", {})) | _ids(payload.get("destroyedTableIds", []))
        ):
            self.tables_with_changed_fields |= others
            self.has_changed_tables = True
        self.edited_at.append(moment)

    def _add_table(self, table: str, changes: dict[str, Any]) -> None:
        created, changed = (
            changes.get("createdRecordsById", {}),
            changes.get("changedRecordsById", {}),
        )
        if touched := _ids(created) | _ids(changed):
            self.records[table] |= touched
            for record, content in created.items():
                self._add_cells(table, record, content)
            for record, content in changed.items():
                self._add_cells(table, record, content.get("unchanged"))
                self._add_cells(table, record, content.get("current"))
        if gone := _ids(changes.get("destroyedRecordIds", [])):
            self.destroyed[table] |= gone
        self._add_fields(table, changes)

    def _add_fields(self, table: str, changes: dict[str, Any]) -> None:
        names = ("createdFieldsById", "changedFieldsById", "destroyedFieldIds", "changedMetadata")
        if not any(changes.get(name) for name in names):
            return
        self.tables_with_changed_fields.add(table)
        self.has_changed_tables = self.has_changed_tables or bool(changes.get("changedMetadata"))
        there = self.fields[table]
        for id_, content in changes.get("createdFieldsById", {}).items():
            there[id_] = _name(content)
            self.has_new_types = True
        later: dict[str, str | None] = dict.fromkeys(_ids(changes.get("destroyedFieldIds", [])))
        for id_, content in changes.get("changedFieldsById", {}).items():
            self.has_new_types |= "type" in content["current"]
            if "name" in content["current"]:
                later[id_] = _name(content["current"])
        self.existing_fields |= later.keys() - there.keys()
        there |= later

    def _add_cells(self, table: str, record: str, content: Any) -> None:
        there = self.cells[table]
        if record not in there and sum(map(len, self.cells.values())) >= MAX_RECORDS_WITH_CELLS:
            return
        cells = there.setdefault(record, {})
        for field_id, value in (content or {}).get("cellValuesByFieldId", {}).items():
            if isinstance(value, str):
                cells[field_id] = value[:100]
            elif isinstance(value, list | None):
                ids = (each.get("id") for each in value or () if isinstance(each, dict))
                cells[field_id] = tuple(each for each in ids if isinstance(each, str))


def _name(content: dict[str, Any]) -> str:
    if not isinstance(name := content["name"], str):
        raise TypeError("not a name")
    return name


def _ids(container: Any) -> set[str]:
    if not isinstance(container, dict | list) or not all(isinstance(e, str) for e in container):
        raise TypeError("not ids")
    return set(container)
