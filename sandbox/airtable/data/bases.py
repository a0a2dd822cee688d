"""A base: its tables, the links between them, and transactions.

One lock per base protects all of its data: tests edit it while the server reads it.
"""

import itertools
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from sandbox.airtable.data.record_values import RecordValues
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.data.transactions import CLIENT, TableChanges, Transaction


class Base:
    def __init__(self, base_id: str, name: str, tables: Iterable[Table] = ()) -> None:
        self.id = base_id
        self.name = name
        self.lock = threading.RLock()
        self.tables: list[Table] = []
        self.listeners: list[Callable[[Transaction], None]] = []
        """Called with each transaction that changed something, at its end, under the lock."""
        self._open: Transaction | None = None
        self._depth = 0
        self._transaction_numbers = itertools.count(1)
        for table in tables:
            self.add_table(table)

    def transaction(self, source: str = CLIENT) -> "TransactionScope":
        """For a with statement: all edits inside belong to one transaction of the change feed.

        A transaction within a transaction is part of it. `source` is Airtable's word: client,
        publicApi, automation, sync, … The lock is held until the end, so a request to the sandbox
        from inside would never return.
        """
        return TransactionScope(self, source)

    def table(self, name_or_id: str) -> Table:
        table = self.find_table(name_or_id)
        if table is None:
            raise KeyError(f"No table {name_or_id} in base {self.id}")
        return table

    def find_table(self, name_or_id: str) -> Table | None:
        return next((table for table in self.tables if table.matches(name_or_id)), None)

    def add_table(self, table: Table) -> Table:
        with self.transaction():
            table.base = self
            self.tables.append(table)
            if self._open:
                self._open.table_created(table)
            return table

    def remove_table(self, name_or_id: str) -> None:
        """Link fields to the table become text fields with the names of the linked records."""
        with self.transaction():
            table = self.table(name_or_id)
            for other, field in self._links_to(table):
                if other is not table:
                    self._convert_to_text(other, field)
            self.tables.remove(table)
            if self._open:
                self._open.table_removed(table)

    def rename_table(self, name_or_id: str, new_name: str) -> None:
        with self.transaction():
            table = self.table(name_or_id)
            if self._open:
                self._open.table_will_be_renamed(table)
            for _, field in self._links_to(table):
                field.links_to = new_name
            table.name = new_name

    def rename_field(self, table: str, field: str, new_name: str) -> None:
        self.table(table).rename_field(field, new_name)

    def observer_of(self, table: Table) -> TableChanges | None:
        """Collects the table's changes. None if the base has no listeners."""
        return self._open.changes_of(table) if self._open else None

    def update_inverse_links(
        self, field: Field, record_id: str, before: list[str], after: list[str]
    ) -> None:
        """Makes a changed link cell visible in the linked records."""
        other = self.table(field.links_to)
        inverse = other.field(field.inverse)
        for linked_id in {*before, *after} & other.records.keys():
            linked = other.records[linked_id]
            ids = [id_ for id_ in linked.cells.get(inverse.id, []) if id_ != record_id]
            other.set_cell(linked, inverse.id, ids + [record_id] * (linked_id in after))

    def remove_links_to(self, table: Table, record_id: str) -> None:
        """Removes a record from every link cell of the base."""
        for other, field in self._links_to(table):
            other.remove_link(field, record_id)

    def rename_inverse(self, table: Table, field: Field, new_name: str) -> None:
        """Updates the link fields whose inverse is `field`."""
        for _, link in self._links_to(table):
            if field.matches(link.inverse):
                link.inverse = new_name

    def begin_transaction(self, source: str) -> None:
        self._depth += 1
        if self._depth == 1 and self.listeners:
            self._open = Transaction(source)

    def end_transaction(self) -> None:
        self._depth -= 1
        if self._depth or self._open is None:
            return
        done, self._open = self._open, None
        if done.is_empty:
            return
        done.close(next(self._transaction_numbers))
        for listener in list(self.listeners):
            listener(done)

    def _convert_to_text(self, table: Table, link: Field) -> None:
        for record in table.records.values():
            table.set_cell(record, link.id, RecordValues(table, record).display_text(link))
        table.change_field_type(link.id, "singleLineText")
        link.links_to = link.inverse = ""

    def _links_to(self, table: Table) -> list[tuple[Table, Field]]:
        return [
            (other, field)
            for other in self.tables
            for field in other.fields
            if field.type == LINK and table.matches(field.links_to)
        ]


class TransactionScope:
    """Holds the base's lock. A class, because every edit uses it and a generator is slower."""

    __slots__ = ("base", "source")

    def __init__(self, base: Base, source: str) -> None:
        self.base = base
        self.source = source

    def __enter__(self) -> None:
        self.base.lock.acquire()
        self.base.begin_transaction(self.source)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.base.end_transaction()
        finally:
            self.base.lock.release()
