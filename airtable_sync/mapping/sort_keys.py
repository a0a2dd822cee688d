"""Keys that sort the values of a field as people expect."""

from collections.abc import Callable
from typing import Any

from airtable_sync.mapping.date_text import is_date, is_time, looks_like_time
from airtable_sync.mapping.field_types import TIME_TYPES, FieldType
from airtable_sync.mapping.number_text import decimal_of

# One pair a value of the cell: its kind, and a value that compares with others of that kind.
Key = tuple[tuple[int, Any], ...]
SortKey = Callable[[Any], Key]

_NUMBER, _TIME, _TEXT, _EMPTY = range(4)
_NOTHING: Key = ((_EMPTY, 0),)


def sort_key_for(field: FieldType | None, text: Callable[[Any], str]) -> SortKey:
    """`text` makes the cell's text, which sorts what is neither a number nor a time nor an option
    of a select. Keys of different fields can be compared."""
    shown = field.shown if field else None
    order = {name: place for place, name in enumerate(shown.choices)} if shown else {}
    is_moment = _moment_test(shown)
    unticked: Key = ((_NUMBER, 0),) if field and field.is_unticked_if_empty else _NOTHING

    def of_value(value: Any) -> tuple[int, Any]:
        if decimal_of(int(value) if isinstance(value, bool) else value) is not None:
            return _NUMBER, value
        if isinstance(value, str) and value in order:
            return _NUMBER, order[value]
        if isinstance(value, str) and is_moment(value):
            return _TIME, value
        found = text(value).casefold()
        return (_TEXT, found) if found else _NOTHING[0]

    def of_cell(cell: Any) -> Key:
        if cell is None:
            return unticked
        if not isinstance(cell, list):
            return (of_value(cell),)
        return tuple(of_value(item) for item in cell if item is not None) or _NOTHING

    return of_cell


def _moment_test(shown: FieldType | None) -> Callable[[str], bool]:
    """Airtable's dates and times are all in UTC: as texts they sort by time."""
    if shown is None:
        return looks_like_time
    if shown.type == "date" or shown.type in TIME_TYPES:
        return lambda text: is_date(text) or is_time(text)
    return lambda _text: False
