"""A table: its fields, views and records, and the methods that edit them."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from sandbox.airtable.common.clock import utc_now
from sandbox.airtable.common.errors import row_does_not_exist, unknown_field
from sandbox.airtable.common.ids import new_id
from sandbox.airtable.data.cells import is_empty
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import LINK, Field, View


class TableObserver(Protocol):
    """Collects the changes of one table. Its methods are called under the base's lock."""

    def record_created(self, record: Record) -> None:
        """Called before the cells are filled."""

    def record_deleted(self, record: Record) -> None: ...

    def cell_will_change(self, record: Record, field: Field) -> None: ...

    def field_will_be_created(self, field: Field) -> None: ...

    def field_will_change(self, field: Field) -> None: ...

    def field_removed(self, field: Field) -> None: ...


class TableOwner(Protocol):
    """What a table needs from its base."""

    tables: list["Table"]

    @property
    def lock(self) -> AbstractContextManager[Any]: ...

    def transaction(self) -> AbstractContextManager[None]: ...

    def table(self, name_or_id: str) -> "Table": ...

    def observer_of(self, table: "Table") -> TableObserver | None: ...

    def update_inverse_links(
        self, field: Field, record_id: str, before: list[str], after: list[str]
    ) -> None: ...

    def remove_links_to(self, table: "Table", record_id: str) -> None: ...

    def rename_inverse(self, table: "Table", field: Field, new_name: str) -> None: ...


class Table:
    """A parameter that names a field takes its name or its id."""

    base: TableOwner

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

    def matches(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)

    def field(self, name_or_id: str) -> Field:
        for candidate in self.fields:
            if candidate.matches(name_or_id):
                return candidate
        raise unknown_field(name_or_id)

    def record(self, record_id: str) -> Record:
        if record_id not in self.records:
            raise row_does_not_exist(record_id)
        return self.records[record_id]

    def values(self, record_id: str) -> dict[str, Any]:
        """The record's cells by field name, without empty ones."""
        with self.base.lock:
            cells = self.record(record_id).cells
            return {field.name: cells[field.id] for field in self.fields if field.id in cells}

    def create(
        self,
        fields: Mapping[str, Any],
        *,
        id: str = "",  # noqa: A002 - Airtable's own term
        created_time: datetime | None = None,
    ) -> Record:
        with self.base.transaction():
            cells = self._cells(fields)
            self._last_number += 1
            record = Record(id or new_id("rec"), self._last_number, created_time or utc_now())
            self.records[record.id] = record
            if observer := self.base.observer_of(self):
                observer.record_created(record)
            for field_id, value in cells.items():
                self._set(record, field_id, value)
            record.modified.clear()
            return record

    def update(self, record_id: str, fields: Mapping[str, Any], *, replace: bool = False) -> Record:
        """With `replace`, empties the fields that are not given, as PUT does."""
        with self.base.transaction():
            record = self.record(record_id)
            cells = self._cells(fields)
            if replace:
                cells = {field.id: None for field in self.fields if not field.is_computed} | cells
            for field_id, value in cells.items():
                self._set(record, field_id, value)
            return record

    def delete(self, record_id: str) -> None:
        """Deletes the record and the links to it."""
        with self.base.transaction():
            record = self.record(record_id)
            self.base.remove_links_to(self, record.id)
            self.update(record_id, {}, replace=True)
            del self.records[record.id]
            if observer := self.base.observer_of(self):
                observer.record_deleted(record)

    def add_field(self, field: Field) -> Field:
        with self.base.transaction():
            if observer := self.base.observer_of(self):
                observer.field_will_be_created(field)
            self.fields.append(field)
            return field

    def remove_field(self, name_or_id: str) -> None:
        """The inverse of a removed link field stays, as a link field without an inverse."""
        with self.base.transaction():
            field = self.field(name_or_id)
            if observer := self.base.observer_of(self):
                observer.field_removed(field)
            self.fields.remove(field)
            self.base.rename_inverse(self, field, "")
            for record in self.records.values():
                record.cells.pop(field.id, None)

    def rename_field(self, name_or_id: str, new_name: str) -> None:
        with self.base.transaction():
            field = self._field_that_will_change(name_or_id)
            self.base.rename_inverse(self, field, new_name)
            field.name = new_name

    def change_field_type(self, name_or_id: str, new_type: str) -> None:
        """The cells keep their values: convert those that the new type does not accept."""
        with self.base.transaction():
            self._field_that_will_change(name_or_id).type = new_type

    def set_cell(self, record: Record, field_id: str, value: Any) -> bool:
        """Sets one cell, without updating inverse links. False if the value is the same."""
        if is_empty(value):
            value = None
        if record.cells.get(field_id) == value:
            return False
        if observer := self.base.observer_of(self):
            observer.cell_will_change(record, self.field(field_id))
        if value is None:
            del record.cells[field_id]
        else:
            record.cells[field_id] = value
        record.modified[field_id] = utc_now()
        return True

    def remove_link(self, field: Field, record_id: str) -> None:
        """Removes a linked record from the field's cells."""
        for record in self.records.values():
            linked = record.cells.get(field.id, [])
            if record_id in linked:
                self.set_cell(record, field.id, [each for each in linked if each != record_id])

    def _cells(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {self.field(name).id: value for name, value in fields.items()}

    def _set(self, record: Record, field_id: str, value: Any) -> None:
        before = record.cells.get(field_id)
        if not self.set_cell(record, field_id, value):
            return
        field = self.field(field_id)
        if field.type == LINK and field.inverse:
            self.base.update_inverse_links(field, record.id, before or [], value or [])

    def _field_that_will_change(self, name_or_id: str) -> Field:
        field = self.field(name_or_id)
        if observer := self.base.observer_of(self):
            observer.field_will_change(field)
        return field
