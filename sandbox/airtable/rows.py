"""A record with its computed cells, as REST answers and formulas see it."""

import math
from datetime import datetime
from typing import Any

from sandbox.airtable.cells import as_string, is_empty, iso_time
from sandbox.airtable.errors import AirtableError
from sandbox.airtable.formula import compile_formula
from sandbox.airtable.formula_values import ErrorValue, NoValue, Value, from_cell, text
from sandbox.airtable.schema import LINK, Field
from sandbox.airtable.tables import Record, Table

DEEPEST = 8
"""Formulas and lookups that reach further, or in a circle, give an error."""
ERROR = {"error": "#ERROR!"}


class Row:
    def __init__(self, table: Table, record: Record, depth: int = 0) -> None:
        self.table = table
        self.record = record
        self.depth = depth

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def created_time(self) -> datetime:
        return self.record.created_time

    def last_modified(self, fields: list[Field]) -> datetime | None:
        """Of fields that people edit: a computed value that changes does not count."""
        modified = self.record.modified
        if fields:
            return max((modified[f.id] for f in fields if f.id in modified), default=None)
        return max(modified.values(), default=None)

    def cell(self, field: Field) -> Any:
        """The value as REST shows it."""
        if field.computed and field.id not in self.record.cells:
            return self._computed(field)
        return self.record.cells.get(field.id)

    def value(self, field: Field) -> Value:
        """The value as a formula sees it: links are the names of what they link to."""
        cell = self.cell(field)
        if field.type == LINK:
            return [row.name for row in self.linked(field)]
        try:
            return from_cell(field.type, cell)
        except NoValue:
            return str(cell)

    @property
    def name(self) -> str:
        """The primary field as text."""
        try:
            return text(self.value(self.table.fields[0]))
        except NoValue:
            return "#ERROR!"

    def shown(self, field: Field) -> str:
        """cellFormat=string"""
        if field.type == LINK:
            return ", ".join(row.name for row in self.linked(field))
        return as_string(self.cell(field))

    def linked(self, field: Field) -> list["Row"]:
        """The rows a link names, in its order."""
        if self.depth > DEEPEST or field.type != LINK:
            return []
        other = self.table.base.table(field.links_to)
        ids = self.record.cells.get(field.id, [])
        return [Row(other, other.records[i], self.depth + 1) for i in ids if i in other.records]

    def _computed(self, field: Field) -> Any:
        if self.depth > DEEPEST:
            return ERROR
        try:
            return self._worked_out(field)
        except AirtableError:  # a field or function that it names is not there
            return ERROR

    def _worked_out(self, field: Field) -> Any:
        match field.type:
            case "autoNumber":
                return self.record.number
            case "createdTime":
                return iso_time(self.created_time)
            case "lastModifiedTime":
                latest = self.last_modified([])
                return latest and iso_time(latest)
            case "formula":
                return self._formula(field)
            case "count":
                return len(self.linked(self.link_of(field)))
            case "multipleLookupValues":
                return self._lookup(field)
        return None

    def _formula(self, field: Field) -> Any:
        deeper = Row(self.table, self.record, self.depth + 1)
        return to_cell(compile_formula(field.options["formula"], self.table.fields)(deeper))

    def _lookup(self, field: Field) -> list[Any]:
        found: list[Any] = []
        for row in self.linked(self.link_of(field)):
            cell = row.cell(row.table.field(field.options["fieldIdInLinkedTable"]))
            found += cell if isinstance(cell, list) else [] if is_empty(cell) else [cell]
        return found

    def link_of(self, field: Field) -> Field:
        """The link that a lookup or a count goes through."""
        return self.table.field(field.options["recordLinkFieldId"])


def to_cell(value: Value) -> Any:
    """A formula's result as REST shows it."""
    if isinstance(value, ErrorValue):
        return ERROR
    if isinstance(value, datetime):
        return iso_time(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"specialValue": "NaN" if math.isnan(value) else "Infinity"}
    if isinstance(value, list):
        return [to_cell(item) for item in value]
    return value
