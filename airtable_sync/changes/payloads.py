"""The change feed's payloads, as a list of what to read again. Their cells are hints at most: they
come in another format than records do.
https://airtable.com/developers/web/api/list-webhook-payloads"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FORMAT = "v0"
MOST_HINTS = 1000  # records; where more changed, hints are of no use
Cells = dict[str, str | tuple[str, ...]]  # by field id: a text, or the ids of linked records


@dataclass
class ChangedRecords:
    """What changed, by table id. `unknown_payloads` counts payloads of a format that nobody here
    knows: what they say is found out by reading everything."""

    records: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    destroyed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    shapes: set[str] = field(default_factory=set)  # tables whose fields, or name, changed
    reshaped: bool = False  # tables came, went or were renamed
    # Fields that came, were renamed or went: by id, their name now, None if gone; and which of them
    # were there before.
    fields: defaultdict[str, dict[str, str | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    old_fields: set[str] = field(default_factory=set)
    # By record, what cells say now, in Airtable's other format: hints of what else to read, never
    # more.
    cells: defaultdict[str, dict[str, Cells]] = field(default_factory=lambda: defaultdict(dict))
    edited_at: list[float] = field(default_factory=list)  # seconds since the epoch
    unknown_payloads: int = 0
    broken: str = ""  # the code by which Airtable says that this hook tells nothing any more

    def touched(self, table: str) -> set[str]:
        return self.records.get(table, set()) | self.destroyed.get(table, set())

    def __bool__(self) -> bool:
        return bool(self.records or self.destroyed or self.shapes or self.unknown_payloads)

    def add(self, payload: Any) -> None:
        """Take one payload; of whatever shape, it raises nothing."""
        if isinstance(payload, dict) and payload.get("error"):
            self.broken = str(payload.get("code") or "unknown")[:50]
            return
        try:
            self._take(payload)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.unknown_payloads += 1

    def _take(self, payload: dict[str, Any]) -> None:
        if payload["payloadFormat"] != FORMAT:
            raise ValueError(payload["payloadFormat"])
        moment = datetime.fromisoformat(payload["timestamp"]).timestamp()
        for table, changes in payload.get("changedTablesById", {}).items():
            self._take_table(table, changes)
        if others := (
            _ids(payload.get("createdTablesById", {})) | _ids(payload.get("destroyedTableIds", []))
        ):
            self.shapes |= others
            self.reshaped = True
        self.edited_at.append(moment)

    def _take_table(self, table: str, changes: dict[str, Any]) -> None:
        created, changed = (
            changes.get("createdRecordsById", {}),
            changes.get("changedRecordsById", {}),
        )
        if touched := _ids(created) | _ids(changed):
            self.records[table] |= touched
            for record, said in created.items():
                self._take_hints(table, record, said)
            for record, said in changed.items():
                self._take_hints(table, record, said.get("unchanged"))
                self._take_hints(table, record, said.get("current"))
        if gone := _ids(changes.get("destroyedRecordIds", [])):
            self.destroyed[table] |= gone
        self._take_fields(table, changes)

    def _take_fields(self, table: str, changes: dict[str, Any]) -> None:
        names = ("createdFieldsById", "changedFieldsById", "destroyedFieldIds", "changedMetadata")
        if not any(changes.get(name) for name in names):
            return
        self.shapes.add(table)
        self.reshaped = self.reshaped or bool(changes.get("changedMetadata"))
        there = self.fields[table]
        for id_, said in changes.get("createdFieldsById", {}).items():
            there[id_] = _name(said)
        later: dict[str, str | None] = dict.fromkeys(_ids(changes.get("destroyedFieldIds", [])))
        for id_, said in changes.get("changedFieldsById", {}).items():
            if "name" in said["current"]:  # not only its type
                later[id_] = _name(said["current"])
        self.old_fields |= later.keys() - there.keys()
        there |= later

    def _take_hints(self, table: str, record: str, said: Any) -> None:
        there = self.cells[table]
        if record not in there and sum(map(len, self.cells.values())) >= MOST_HINTS:
            return
        cells = there.setdefault(record, {})
        for field_id, value in (said or {}).get("cellValuesByFieldId", {}).items():
            if isinstance(value, str):
                cells[field_id] = value[:100]
            elif isinstance(value, list | None):
                linked = (each for each in value or () if isinstance(each, dict) and "id" in each)
                cells[field_id] = tuple(str(each["id"]) for each in linked)


def _name(said: dict[str, Any]) -> str:
    if not isinstance(name := said["name"], str):
        raise TypeError("not a name")
    return name


def _ids(container: Any) -> set[str]:
    if not isinstance(container, dict | list) or not all(isinstance(e, str) for e in container):
        raise TypeError("not ids")
    return set(container)
