"""Airtable's cell values as the text that people see in Airtable:
https://airtable.com/developers/web/api/field-model"""

from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import partial
from typing import Any

from airtable_sync.mapping.cell_shapes import (
    MAX_DEPTH,
    are_record_ids,
    clean,
    is_too_deep,
    object_text,
    problem_of,
    readable_part,
)
from airtable_sync.mapping.date_text import DateText, looks_like_time
from airtable_sync.mapping.field_types import (
    OBJECT_PARTS,
    TEXT_TYPES,
    TIME_TYPES,
    FieldType,
)
from airtable_sync.mapping.number_text import NumberText, Writer, duration, integer
from airtable_sync.mapping.sort_keys import SortKey, sort_key_for
from airtable_sync.mapping.text_format import TextFormat, locale_of, time_zone_of

__all__ = ["MAX_DEPTH", "Formatter", "links_of", "problem_of", "text_of"]

Text = Callable[[Any], str]


def links_of(cell: Any) -> list[str]:
    """The record ids in a link cell."""
    return [item for item in cell if isinstance(item, str)] if isinstance(cell, list) else []


class Formatter:
    """Makes one function for each field, which is then used for all its cells. These functions
    never raise: a value that does not fit the field's type is shown as it is."""

    def __init__(self, text_format: TextFormat) -> None:
        locale = locale_of(text_format.locale) if text_format.locale else None
        self._zone = time_zone_of(text_format.time_zone) if text_format.time_zone else None
        self._ticked, self._unticked = text_format.checkbox or ("true", "false")
        self._numbers = NumberText(locale)
        self._dates = DateText(locale)
        self._number = self._numbers.number(None)
        self._time = self._dates.time(self._zone or UTC)

    def for_field(self, field: FieldType | None) -> Text:
        """The function that makes text of the field's cells; without a schema, None, the value
        itself decides. A link has no text: the caller knows the linked records' names."""
        if field is None:
            return _prepared(self._shown)
        if field.is_link or field.is_lookup_of_links:
            return _no_text
        write = self._writer(field.shown)
        empty = clean(self._unticked) if field.is_unticked_if_empty else ""
        prepared = _prepared(self._with_fallback(write) if write else self._shown, empty)
        is_text = field.shown.type in TEXT_TYPES or field.shown.type == "singleSelect"
        return _text_first(prepared) if is_text else prepared

    def sort_key_for(self, field: FieldType | None) -> SortKey:
        """Numbers sort as numbers, selects in the order of their options, empty cells last."""
        return sort_key_for(field, self.for_field(field))

    def _with_fallback(self, write: Writer) -> Text:
        def text(value: Any) -> str:
            found = write(value)
            return self._shown(value) if found is None else found

        return text

    def _shown(self, value: Any) -> str:
        """What a single value shows without a schema."""
        if isinstance(value, dict):
            value = readable_part(value)
        if isinstance(value, str):
            return (looks_like_time(value) and self._time(value)) or value
        return self._tick(value) or self._number(value) or ""

    def _tick(self, value: Any) -> str | None:
        if not isinstance(value, bool):
            return None
        return self._ticked if value else self._unticked

    def _writer(self, shown: FieldType) -> Writer | None:
        """For single values of that type; None if the type is unknown."""
        if shown.type in TEXT_TYPES:
            return _text
        if shown.type == "checkbox":
            return self._tick
        if shown.type == "date":
            return self._dates.date
        if shown.type in TIME_TYPES:
            return self._dates.time(self._zone or _zone_of(shown))
        if shown.type in OBJECT_PARTS:
            return partial(_part_text, OBJECT_PARTS[shown.type])
        return self._number_writer(shown)

    def _number_writer(self, shown: FieldType) -> Writer | None:
        precision = shown.options.get("precision")
        match shown.type:
            case "number" | "count":
                return self._numbers.number(precision)
            case "currency":
                return self._numbers.money(precision, shown.options.get("symbol", ""))
            case "percent":
                return self._numbers.percent(precision)
            case "duration":
                return duration(shown.options.get("durationFormat", ""))
            case "rating" | "autoNumber":
                return integer
        return None


def _text_first(other: Text) -> Text:
    """For the types whose cells are texts as they are, which are most."""

    def of_cell(cell: Any) -> str:
        return clean(cell) if cell.__class__ is str else other(cell)

    return of_cell


def _prepared(one: Text, empty: str = "") -> Text:
    """`one` makes text of a single value; `empty` is an empty cell's text."""

    def of_cell(cell: Any) -> str:
        if cell.__class__ is str:
            return clean(one(cell))
        if cell is None:
            return empty
        return "" if is_too_deep(cell) else of_any(cell)

    def of_any(cell: Any) -> str:
        if not isinstance(cell, list):
            return clean(one(cell))
        if are_record_ids(cell):
            return ""
        return ", ".join(filter(None, (of_any(item) for item in cell if item is not None)))

    return of_cell


def _no_text(_cell: Any) -> str:
    return ""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _part_text(keys: tuple[str, ...], value: Any) -> str | None:
    return object_text(value, keys) if isinstance(value, dict) else _text(value)


def _zone_of(shown: FieldType) -> tzinfo:
    """The field's own zone. It is "client" where Airtable shows each person their own."""
    try:
        return time_zone_of(shown.options.get("timeZone", ""))
    except ValueError:
        return UTC


_without_schema = Formatter(TextFormat()).for_field(None)


def text_of(cell: Any) -> str:
    """The text of a cell whose field is not known. An empty, failed or too deeply nested cell is an
    empty string; an unknown object is its JSON. Never raises."""
    return _without_schema(cell)
