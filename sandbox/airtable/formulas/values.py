"""The values that formulas compute with, and Airtable's conversions between them."""

import math
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from sandbox.airtable.common.clock import iso_time


class ErrorValue:
    """#ERROR!, a value that most functions return if they get it."""

    def __repr__(self) -> str:
        return "#ERROR!"


ERROR = ErrorValue()
Value: TypeAlias = "bool | int | float | str | datetime | list[Value] | ErrorValue | None"


class NoValue(Exception):
    """Raised by a function that has no result for its arguments. The formula gives #ERROR!."""


def truthy(value: Value) -> bool:
    """False for 0, false, "", NaN, [], blank and errors."""
    if isinstance(value, ErrorValue):
        return False
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value)


def scalar(value: Value) -> Value:
    """The element of a list of one; the text of a longer list."""
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        return text(value)
    return scalar(value[0]) if value else None


def text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, datetime):
        return iso_time(value)
    if isinstance(value, list):
        return ", ".join(text(item) for item in value)
    if isinstance(value, ErrorValue):
        raise NoValue
    return str(value)


def number(value: Value) -> int | float:
    value = scalar(value)
    if value is None:
        return 0
    if isinstance(value, int | float):
        return value
    raise NoValue


def whole(value: Value) -> int:
    try:
        return int(number(value))
    except (ValueError, OverflowError) as error:
        raise NoValue from error


def moment(value: Value) -> datetime | None:
    """None for blank. Raises NoValue for what is not a date."""
    value = scalar(value)
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return parse_moment(value)
    raise NoValue


def parse_moment(written: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(written.strip())
    except ValueError as error:
        raise NoValue from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def from_cell(field_type: str, cell: Any) -> Value:
    """The value that formulas use, from a cell in REST's format. Not for link fields."""
    if cell is None:
        return False if field_type == "checkbox" else None
    if isinstance(cell, list):
        return [from_cell(field_type, item) for item in cell]
    if isinstance(cell, dict):
        return _from_object(cell)
    if isinstance(cell, str) and field_type in ("date", "dateTime"):
        return parse_moment(cell)
    if isinstance(cell, date | bool | int | float | str):
        return cell if not isinstance(cell, date) or isinstance(cell, datetime) else str(cell)
    return str(cell)


def _from_object(cell: dict[str, Any]) -> Value:
    """For collaborators, barcodes, attachments, and the errors of computed fields."""
    if cell.keys() == {"specialValue"}:
        return math.nan
    if cell.keys() == {"error"}:
        return ERROR
    for key in ("name", "text", "value", "filename", "label"):
        if key in cell:
            return str(cell[key])
    return None


def equal(left: Value, right: Value) -> bool:
    """Text never equals a number. Blank equals "", 0 and false."""
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    left, right = _comparable(left, right)
    if left is None or right is None:
        return not left and not right
    if isinstance(left, str) != isinstance(right, str):
        return False
    return left == right


def less(left: Value, right: Value) -> bool:
    left, right = _comparable(left, right)
    if isinstance(left, str) or isinstance(right, str):
        return _less_text(left, right)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left < right
    if isinstance(left, datetime) or isinstance(right, datetime):
        return False
    return number(left) < number(right)


def _less_text(left: Value, right: Value) -> bool:
    if isinstance(left, str | None) and isinstance(right, str | None):
        return (left or "") < (right or "")
    return False


def _comparable(left: Value, right: Value) -> tuple[Value, Value]:
    left, right = scalar(left), scalar(right)
    if isinstance(left, datetime) and isinstance(right, str):
        return left, _moment_or_text(right)
    if isinstance(left, str) and isinstance(right, datetime):
        return _moment_or_text(left), right
    return left, right


def _moment_or_text(written: str) -> Value:
    try:
        return parse_moment(written)
    except NoValue:
        return written


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else str(value)
