"""A record's cells with the computed ones, for REST responses and for formulas."""

import math
from datetime import datetime
from typing import Any

from sandbox.airtable.common.clock import iso_time
from sandbox.airtable.common.errors import AirtableError
from sandbox.airtable.data.cells import as_string, is_empty
from sandbox.airtable.data.records import Record
from sandbox.airtable.data.schema import LINK, Field
from sandbox.airtable.data.tables import Table
from sandbox.airtable.formulas.compiler import compile_formula
from sandbox.airtable.formulas.values import ErrorValue, NoValue, Value, from_cell, text

MAX_DEPTH = 8
"""Formulas and lookups that follow more references than this, or a circle, give an error."""
ERROR = {"error": "#ERROR!"}


class RecordValues:
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

    @property
    def name(self) -> str:
        """The primary field as text."""
        try:
            return text(self.value(self.table.fields[0]))
        except NoValue:
            return "#ERROR!"

    def last_modified(self, field_ids: list[str]) -> datetime | None:
        """Of these fields, or of all. A change of a computed value does not count."""
        modified = self.record.modified
        if field_ids:
            return max((modified[each] for each in field_ids if each in modified), default=None)
        return max(modified.values(), default=None)

    def cell(self, field: Field) -> Any:
        """The value in REST's format."""
        if field.is_computed and field.id not in self.record.cells:
            return self._computed(field)
        return self.record.cells.get(field.id)

    def value(self, field: Field) -> Value:
        """The value that formulas use: of a link, the names of the linked records."""
        cell = self.cell(field)
        if field.type == LINK:
            return [linked.name for linked in self.linked(field)]
        try:
            return from_cell(field.type, cell)
        except NoValue:
            return str(cell)

    def formula_value(self, field_id: str) -> Value:
        return self.value(self.table.field(field_id))

    def display_text(self, field: Field) -> str:
        """The value in the format of cellFormat=string."""
        if field.type == LINK:
            return ", ".join(linked.name for linked in self.linked(field))
        return as_string(self.cell(field))

    def linked(self, field: Field) -> list["RecordValues"]:
        """The records that a link field names, in the order of the cell."""
        if self.depth > MAX_DEPTH or field.type != LINK:
            return []
        other = self.table.base.table(field.links_to)
        ids = self.record.cells.get(field.id, [])
        return [
            RecordValues(other, other.records[each], self.depth + 1)
            for each in ids
            if each in other.records
        ]

    def link_of(self, field: Field) -> Field:
        """The link field that a lookup or a count uses."""
        return self.table.field(field.options["recordLinkFieldId"])

    def _computed(self, field: Field) -> Any:
        if self.depth > MAX_DEPTH:
            return ERROR
        try:
            return self._compute(field)
        except AirtableError:  # the formula or lookup names a field or function that does not exist
            return ERROR

    def _compute(self, field: Field) -> Any:
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
        deeper = RecordValues(self.table, self.record, self.depth + 1)
        return to_cell(compile_formula(field.options["formula"], self.table.fields)(deeper))

    def _lookup(self, field: Field) -> list[Any]:
        found: list[Any] = []
        for linked in self.linked(self.link_of(field)):
            cell = linked.cell(linked.table.field(field.options["fieldIdInLinkedTable"]))
            found += cell if isinstance(cell, list) else [] if is_empty(cell) else [cell]
        return found


def to_cell(value: Value) -> Any:
    """A formula's result in REST's format."""
    if isinstance(value, ErrorValue):
        return ERROR
    if isinstance(value, datetime):
        return iso_time(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"specialValue": "NaN" if math.isnan(value) else "Infinity"}
    if isinstance(value, list):
        return [to_cell(item) for item in value]
    return value
