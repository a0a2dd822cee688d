"""The change feed's payloads, as a list of what to read again. Their cells are hints at most: they
come in another format than records do.
https://airtable.com/developers/web/api/list-webhook-payloads"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FORMAT = "v0"


@dataclass
class Dirty:
    """What changed, by table id. `not_understood` counts payloads of a format that nobody here
    knows: what they say is found out by reading everything."""

    records: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    destroyed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    shapes: set[str] = field(default_factory=set)  # tables whose fields, or name, changed
    # What cells say now, in Airtable's other format: hints of what else to read, never more.
    texts: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    edited_at: list[float] = field(default_factory=list)  # seconds since the epoch
    not_understood: int = 0
    broken: str = ""  # the code by which Airtable says that this hook tells nothing any more

    def touched(self, table: str) -> set[str]:
        return self.records.get(table, set()) | self.destroyed.get(table, set())

    def __bool__(self) -> bool:
        return bool(self.records or self.destroyed or self.shapes or self.not_understood)

    def add(self, payload: Any) -> None:
        """Take one payload; of whatever shape, it raises nothing."""
        if isinstance(payload, dict) and payload.get("error"):
            self.broken = str(payload.get("code") or "unknown")[:50]
            return
        try:
            self._take(payload)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.not_understood += 1

    def _take(self, payload: dict[str, Any]) -> None:
        if payload["payloadFormat"] != FORMAT:
            raise ValueError(payload["payloadFormat"])
        moment = datetime.fromisoformat(payload["timestamp"]).timestamp()
        for table, changes in payload.get("changedTablesById", {}).items():
            self._take_table(table, changes)
        self.shapes.update(_ids(payload.get("createdTablesById", {})))
        self.shapes.update(_ids(payload.get("destroyedTableIds", [])))
        self.edited_at.append(moment)

    def _take_table(self, table: str, changes: dict[str, Any]) -> None:
        created, changed = (
            changes.get("createdRecordsById", {}),
            changes.get("changedRecordsById", {}),
        )
        if touched := _ids(created) | _ids(changed):
            self.records[table] |= touched
            for each in (
                *created.values(),
                *(record.get("current") for record in changed.values()),
            ):
                self._take_hints(each)
        if gone := _ids(changes.get("destroyedRecordIds", [])):
            self.destroyed[table] |= gone
        names = ("createdFieldsById", "changedFieldsById", "destroyedFieldIds", "changedMetadata")
        if any(changes.get(name) for name in names):
            self.shapes.add(table)

    def _take_hints(self, cells: Any) -> None:
        for value in (cells or {}).get("cellValuesByFieldId", {}).values():
            if isinstance(value, str):
                self.texts.add(value[:100])
            elif isinstance(value, list):
                self.links |= {
                    str(each["id"]) for each in value if isinstance(each, dict) and "id" in each
                }


def _ids(container: Any) -> set[str]:
    if not isinstance(container, dict | list) or not all(isinstance(e, str) for e in container):
        raise TypeError("not ids")
    return set(container)
