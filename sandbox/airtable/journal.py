"""What an action changes in a base, for those who listen; while nobody does, nothing is kept."""

import itertools
from collections.abc import Callable

from sandbox.airtable.followers import computed_cells, followers
from sandbox.airtable.schema import Field
from sandbox.airtable.tables import Record, Table
from sandbox.airtable.transactions import Transaction

CLIENT = "client"
PUBLIC_API = "publicApi"
Listener = Callable[[Transaction], None]


class Journal:
    """Table and Base tell it of every edit, under the base's lock, before or after as it says."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._open: Transaction | None = None
        self._depth = 0
        self._numbers = itertools.count(1)

    def begin(self, source: str) -> None:
        """An action within an action is part of it."""
        self._depth += 1
        if self._depth == 1 and self.listeners:
            self._open = Transaction(source)

    def end(self) -> None:
        self._depth -= 1
        if self._depth or self._open is None:
            return
        done, self._open = self._open, None
        if done.is_empty:
            return
        done.close(next(self._numbers))
        for listener in list(self.listeners):
            listener(done)

    def cell_changes(self, table: Table, record: Record, field_id: str) -> None:
        """Before it does."""
        if self._open is None:
            return
        self._remember_followers(table, record)
        self._open.of(table).cell_changes(record, table.field(field_id))

    def record_created(self, table: Table, record: Record) -> None:
        """Before its cells are filled."""
        if self._open is not None:
            self._open.of(table).record_created(record)

    def record_deleted(self, table: Table, record: Record) -> None:
        if self._open is not None:
            self._open.of(table).record_deleted(record)

    def field_created(self, table: Table, field: Field) -> None:
        """Before the table has it."""
        if self._open is None:
            return
        self._open.of(table).created_fields.append(field)
        if field.computed:
            for record in table.records.values():
                self._open.of(table).remember(record, computed_cells(table, record))

    def field_changes(self, table: Table, field: Field) -> None:
        """Before it does."""
        if self._open is not None:
            self._open.of(table).field_changes(field)

    def field_removed(self, table: Table, field: Field) -> None:
        if self._open is not None:
            self._open.of(table).removed_fields.append(field.id)

    def table_created(self, table: Table) -> None:
        if self._open is not None:
            self._open.created_tables.append(table)

    def table_renamed(self, table: Table) -> None:
        """Before it has its new name."""
        if self._open is not None:
            changes = self._open.of(table)
            changes.previous_name = changes.previous_name or table.name

    def table_removed(self, table: Table) -> None:
        if self._open is not None:
            self._open.table_removed(table)

    def _remember_followers(self, table: Table, record: Record) -> None:
        assert self._open is not None  # noqa: S101 - for mypy
        for other, each in followers(table, record):
            changes = self._open.of(other)
            if not changes.remembers(each):
                changes.remember(each, computed_cells(other, each))
