"""The changes of one action, table by table."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.airtable.cells_v2 import cell_v2
from sandbox.airtable.followers import computed_cells
from sandbox.airtable.rows import Row
from sandbox.airtable.schema import Field
from sandbox.airtable.tables import Record, Table

Cells = dict[str, Any]
"""Field id → cell of the change feed; None is an empty one."""


@dataclass(frozen=True)
class Change:
    """Of one record: the cells that differ, as they were and as they are."""

    before: Cells
    after: Cells


@dataclass
class TableChanges:
    """Once closed: created, changed, followed (computed cells) and deleted, by record id."""

    table: Table
    created: dict[str, Record] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    changed: dict[str, Change] = field(default_factory=dict)
    followed: dict[str, Change] = field(default_factory=dict)
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

    def cell_changes(self, record: Record, changing: Field) -> None:
        if record.id in self.created:
            return
        before = self._before.setdefault(record.id, {})
        if changing.id not in before:
            before[changing.id] = cell_v2(Row(self.table, record), changing)

    def field_changes(self, changing: Field) -> None:
        before = {"name": changing.name, "type": changing.type}
        self.changed_fields.setdefault(changing.id, before)

    def remembers(self, record: Record) -> bool:
        return record.id in self._computed_before

    def remember(self, record: Record, computed: Cells) -> None:
        self._computed_before.setdefault(record.id, computed)

    def close(self) -> None:
        records = self.table.records
        for record_id, before in self._before.items():
            if record_id in records:
                self._keep(self.changed, record_id, before, self._now(record_id, before))
        for record_id, before in self._computed_before.items():
            if record_id in records:
                now = computed_cells(self.table, records[record_id])
                self._keep(self.followed, record_id, before, now)

    def _now(self, record_id: str, before: Cells) -> Cells:
        row = Row(self.table, self.table.records[record_id])
        return {each.id: cell_v2(row, each) for each in self.table.fields if each.id in before}

    @staticmethod
    def _keep(kept: dict[str, Change], record_id: str, before: Cells, after: Cells) -> None:
        differing = [name for name in after if before.get(name) != after[name]]
        if differing:
            kept[record_id] = Change(
                {name: before.get(name) for name in differing},
                {name: after[name] for name in differing},
            )


@dataclass
class Transaction:
    source: str
    number: int = 0
    tables: dict[str, TableChanges] = field(default_factory=dict)
    """By table id; of tables that were there before and are still there."""
    created_tables: list[Table] = field(default_factory=list)
    removed_tables: list[str] = field(default_factory=list)

    def of(self, table: Table) -> TableChanges:
        if table.id not in self.tables:
            self.tables[table.id] = TableChanges(table)
        return self.tables[table.id]

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
    def takes_away(self) -> bool:
        """Fields or tables, which a hook may name."""
        return bool(self.removed_tables) or any(t.removed_fields for t in self.tables.values())

    def close(self, number: int) -> None:
        """Compares what was with what is; only then may it be read."""
        self.number = number
        for changes in self.tables.values():
            changes.close()
