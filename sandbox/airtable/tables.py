"""Tables and their records.

Cells are kept by field id, so that a renamed field keeps its values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.airtable.cells import is_empty
from sandbox.airtable.errors import row_does_not_exist, unknown_field
from sandbox.airtable.ids import new_id
from sandbox.airtable.schema import LINK, Field, View

if TYPE_CHECKING:
    from sandbox.airtable.bases import Base


def utc_now() -> datetime:
    """Airtable keeps milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass
class Record:
    id: str
    number: int
    created_time: datetime
    cells: dict[str, Any] = field(default_factory=dict)
    """Field id → value, empty cells left out."""
    modified: dict[str, datetime] = field(default_factory=dict)
    """Field id → when it was last changed after the record was created."""


class Table:
    """Fields may be given by name or by id wherever a method takes them."""

    base: "Base"

    def __init__(
        self,
        name: str,
        fields: Iterable[Field],
        *,
        id: str = "",  # noqa: A002 - Airtable's own term
        views: Iterable[View] = (),
    ) -> None:
        self.id = id or new_id("tbl")
        self.name = name
        self.fields = list(fields)
        self.views = list(views) or [View()]
        self.records: dict[str, Record] = {}
        self._last_number = 0

    def is_called(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)

    def field(self, name_or_id: str) -> Field:
        for candidate in self.fields:
            if candidate.is_called(name_or_id):
                return candidate
        raise unknown_field(name_or_id)

    def record(self, record_id: str) -> Record:
        if record_id not in self.records:
            raise row_does_not_exist(record_id)
        return self.records[record_id]

    def create(
        self,
        fields: Mapping[str, Any],
        *,
        id: str = "",  # noqa: A002 - Airtable's own term
        created_time: datetime | None = None,
    ) -> Record:
        with self.base.action():
            cells = self._cells(fields)
            self._last_number += 1
            record = Record(id or new_id("rec"), self._last_number, created_time or utc_now())
            self.records[record.id] = record
            self.base.journal.record_created(self, record)
            for field_id, value in cells.items():
                self._set(record, field_id, value)
            record.modified.clear()
            return record

    def update(self, record_id: str, fields: Mapping[str, Any], *, replace: bool = False) -> Record:
        """With replace, fields not given are emptied, as PUT does."""
        with self.base.action():
            record = self.record(record_id)
            cells = self._cells(fields)
            if replace:
                cells = {field.id: None for field in self.fields if not field.computed} | cells
            for field_id, value in cells.items():
                self._set(record, field_id, value)
            return record

    def delete(self, record_id: str) -> None:
        """Links to the record go with it."""
        with self.base.action():
            record = self.record(record_id)
            self.base.unlink(self, record.id)
            self.update(record_id, {}, replace=True)
            del self.records[record.id]
            self.base.journal.record_deleted(self, record)

    def add_field(self, field: Field) -> Field:
        with self.base.action():
            self.base.journal.field_created(self, field)
            self.fields.append(field)
            return field

    def remove_field(self, name_or_id: str) -> None:
        """The other side of a link stays, as a link of one side."""
        with self.base.action():
            field = self.field(name_or_id)
            self.base.journal.field_removed(self, field)
            self.fields.remove(field)
            self.base.rename_inverse(self, field, "")
            for record in self.records.values():
                record.cells.pop(field.id, None)

    def rename_field(self, name_or_id: str, new_name: str) -> None:
        with self.base.action():
            field = self.field(name_or_id)
            self.base.journal.field_changes(self, field)
            self.base.rename_inverse(self, field, new_name)
            field.name = new_name

    def retype_field(self, name_or_id: str, new_type: str) -> None:
        """The cells stay as they are: convert those that matter."""
        with self.base.action():
            field = self.field(name_or_id)
            self.base.journal.field_changes(self, field)
            field.type = new_type

    def values(self, record_id: str) -> dict[str, Any]:
        """The record's filled cells by field name, for a test to look at."""
        with self.base.lock:
            cells = self.record(record_id).cells
            return {field.name: cells[field.id] for field in self.fields if field.id in cells}

    def _cells(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {self.field(name).id: value for name, value in fields.items()}

    def _set(self, record: Record, field_id: str, value: Any) -> None:
        before = record.cells.get(field_id)
        if not self.set_cell(record, field_id, value):
            return
        field = self.field(field_id)
        if field.type == LINK and field.inverse:
            self.base.mirror(field, record.id, before or [], value or [])

    def set_cell(self, record: Record, field_id: str, value: Any) -> bool:
        """One cell, without its mirror image. False when nothing changed."""
        if is_empty(value):
            value = None
        if record.cells.get(field_id) == value:
            return False
        self.base.journal.cell_changes(self, record, field_id)
        if value is None:
            del record.cells[field_id]
        else:
            record.cells[field_id] = value
        record.modified[field_id] = utc_now()
        return True

    def remove_link(self, field: Field, record_id: str) -> None:
        for record in self.records.values():
            linked = record.cells.get(field.id, [])
            if record_id in linked:
                self.set_cell(record, field.id, [each for each in linked if each != record_id])
