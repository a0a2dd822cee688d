"""The changes of one transaction, table by table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.airtable.data.cells_v2 import cell_v2
from sandbox.airtable.data.dependents import dependent_cells, dependent_records
from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import Field
from sandbox.airtable.data.tables import Table

CLIENT = "client"
PUBLIC_API = "publicApi"
Cells = dict[str, Any]
"""Field id → cell in the change feed's format; None for an empty cell."""


@dataclass(frozen=True)
class Change:
    """The cells of one record that differ, before and after."""

    before: Cells
    after: Cells


@dataclass
class TableChanges:
    """The changes of one table. `changed` and `recomputed` are filled by close()."""

    table: Table
    will_change: Callable[[Table, Record], None]
    """Called before a record changes, so that the cells that depend on it are stored, too."""
    created: dict[str, Record] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    changed: dict[str, Change] = field(default_factory=dict)
    """Record id → change of the cells that were edited."""
    recomputed: dict[str, Change] = field(default_factory=dict)
    """Record id → change of computed cells."""
    created_fields: list[Field] = field(default_factory=list)
    changed_fields: dict[str, dict[str, str]] = field(default_factory=dict)
    """Field id → name and type before."""
    removed_fields: list[str] = field(default_factory=list)
    previous_name: str = ""
    _before: dict[str, Cells] = field(default_factory=dict)
    _computed_before: dict[str, Cells] = field(default_factory=dict)

    def record_created(self, record: Record) -> None:
        self.created[record.id] = record
        self._computed_before[record.id] = {}

    def record_deleted(self, record: Record) -> None:
        if self.created.pop(record.id, None) is None:
            self.deleted.append(record.id)

    def cell_will_change(self, record: Record, field: Field) -> None:
        self.will_change(self.table, record)
        if record.id in self.created:
            return
        before = self._before.setdefault(record.id, {})
        if field.id not in before:
            before[field.id] = cell_v2(RecordValues(self.table, record), field)

    def field_will_be_created(self, field: Field) -> None:
        self.created_fields.append(field)
        if field.is_computed:
            for record in self.table.records.values():
                self.store_computed_cells(record)

    def field_will_change(self, field: Field) -> None:
        self.changed_fields.setdefault(field.id, {"name": field.name, "type": field.type})

    def field_removed(self, field: Field) -> None:
        self.removed_fields.append(field.id)

    def store_computed_cells(self, record: Record) -> None:
        """Stores the record's computed cells as they are before the first change."""
        if record.id not in self._computed_before:
            self._computed_before[record.id] = dependent_cells(self.table, record)

    def close(self) -> None:
        records = self.table.records
        for record_id, before in self._before.items():
            if record_id in records:
                _add_change(self.changed, record_id, before, self._now(record_id, before))
        for record_id, before in self._computed_before.items():
            if record_id in records:
                now = dependent_cells(self.table, records[record_id])
                _add_change(self.recomputed, record_id, before, now)

    def _now(self, record_id: str, before: Cells) -> Cells:
        values = RecordValues(self.table, self.table.records[record_id])
        return {each.id: cell_v2(values, each) for each in self.table.fields if each.id in before}


def _add_change(changes: dict[str, Change], record_id: str, before: Cells, after: Cells) -> None:
    differing = [field_id for field_id in after if before.get(field_id) != after[field_id]]
    if differing:
        changes[record_id] = Change(
            {field_id: before.get(field_id) for field_id in differing},
            {field_id: after[field_id] for field_id in differing},
        )


@dataclass
class Transaction:
    """Call close() before reading it."""

    source: str
    number: int = 0
    tables: dict[str, TableChanges] = field(default_factory=dict)
    """By table id. Without removed tables."""
    created_tables: list[Table] = field(default_factory=list)
    removed_tables: list[str] = field(default_factory=list)

    def changes_of(self, table: Table) -> TableChanges:
        if table.id not in self.tables:
            self.tables[table.id] = TableChanges(table, self._record_will_change)
        return self.tables[table.id]

    def table_created(self, table: Table) -> None:
        self.created_tables.append(table)

    def table_will_be_renamed(self, table: Table) -> None:
        changes = self.changes_of(table)
        changes.previous_name = changes.previous_name or table.name

    def table_removed(self, table: Table) -> None:
        if table in self.created_tables:
            self.created_tables.remove(table)
        else:
            self.removed_tables.append(table.id)
        self.tables.pop(table.id, None)

    @property
    def is_empty(self) -> bool:
        return not (self.tables or self.created_tables or self.removed_tables)

    @property
    def removes_schema(self) -> bool:
        """Whether a field or a table was removed, which a webhook may name."""
        return bool(self.removed_tables) or any(t.removed_fields for t in self.tables.values())

    def close(self, number: int) -> None:
        """Compares the cells before with the cells now."""
        self.number = number
        for changes in self.tables.values():
            changes.close()

    def _record_will_change(self, table: Table, record: Record) -> None:
        for other, dependent in dependent_records(table, record):
            self.changes_of(other).store_computed_cells(dependent)
