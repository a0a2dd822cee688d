"""Bases in memory: their tables, and the links between these.

One lock per base guards all of it: tests edit while the server reads.
"""

import threading
from collections.abc import Iterable
from types import TracebackType

from sandbox.airtable.journal import CLIENT, Journal
from sandbox.airtable.rows import Row
from sandbox.airtable.schema import LINK, Field, View
from sandbox.airtable.tables import Record, Table

__all__ = ["Base", "Field", "Record", "Table", "View"]


class Base:
    def __init__(self, id: str, name: str, tables: Iterable[Table] = ()) -> None:  # noqa: A002
        self.id = id
        self.name = name
        self.lock = threading.RLock()
        self.journal = Journal()
        self.tables: list[Table] = []
        for table in tables:
            self.add_table(table)

    def action(self, source: str = CLIENT) -> "Action":
        """All edits in it are one transaction of the change feed; an action within is part of it.

        The source is one of Airtable's: client, publicApi, automation, sync, … It holds the
        base's lock: a request to the sandbox from inside would wait for its own end.
        """
        return Action(self, source)

    def table(self, name_or_id: str) -> Table:
        table = self.find_table(name_or_id)
        if table is None:
            raise KeyError(f"No table {name_or_id} in base {self.id}")
        return table

    def find_table(self, name_or_id: str) -> Table | None:
        return next((table for table in self.tables if table.is_called(name_or_id)), None)

    def add_table(self, table: Table) -> Table:
        with self.action():
            table.base = self
            self.tables.append(table)
            self.journal.table_created(table)
            return table

    def remove_table(self, name_or_id: str) -> None:
        """Links to it become text, the names they showed."""
        with self.action():
            table = self.table(name_or_id)
            for other in self.tables:
                for field in other.fields:
                    if (
                        field.type == LINK
                        and other is not table
                        and table.is_called(field.links_to)
                    ):
                        self._become_text(other, field)
            self.tables.remove(table)
            self.journal.table_removed(table)

    def rename_table(self, name_or_id: str, new_name: str) -> None:
        with self.action():
            table = self.table(name_or_id)
            self.journal.table_renamed(table)
            for field in self._links_to(table):
                field.links_to = new_name
            table.name = new_name

    def rename_field(self, table: str, field: str, new_name: str) -> None:
        self.table(table).rename_field(field, new_name)

    def mirror(self, field: Field, record_id: str, before: list[str], after: list[str]) -> None:
        """Shows a changed link on the other side, too."""
        other = self.table(field.links_to)
        inverse = other.field(field.inverse)
        for linked_id in {*before, *after} & other.records.keys():
            linked = other.records[linked_id]
            ids = [id_ for id_ in linked.cells.get(inverse.id, []) if id_ != record_id]
            other.set_cell(linked, inverse.id, ids + [record_id] * (linked_id in after))

    def unlink(self, table: Table, record_id: str) -> None:
        """Takes a record out of every link cell of the base."""
        for other in self.tables:
            for field in other.fields:
                if field.type == LINK and table.is_called(field.links_to):
                    other.remove_link(field, record_id)

    def rename_inverse(self, table: Table, field: Field, new_name: str) -> None:
        """Tells the links whose other side the field is."""
        for other in self._links_to(table):
            if field.is_called(other.inverse):
                other.inverse = new_name

    def _become_text(self, table: Table, link: Field) -> None:
        for record in table.records.values():
            table.set_cell(record, link.id, Row(table, record).shown(link))
        table.retype_field(link.id, "singleLineText")
        link.links_to = link.inverse = ""

    def _links_to(self, table: Table) -> list[Field]:
        return [
            field
            for other in self.tables
            for field in other.fields
            if field.type == LINK and table.is_called(field.links_to)
        ]


class Action:
    """A with statement under the base's lock. A class, as every edit passes here."""

    __slots__ = ("base", "source")

    def __init__(self, base: Base, source: str) -> None:
        self.base = base
        self.source = source

    def __enter__(self) -> None:
        self.base.lock.acquire()
        self.base.journal.begin(self.source)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.base.journal.end()
        finally:
            self.base.lock.release()
