"""Cell values: which ones a field accepts, and their text.

https://airtable.com/developers/web/api/field-model
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sandbox.airtable.common.errors import invalid_value, unknown_choice
from sandbox.airtable.data.schema import LINK, Field

TEXT_TYPES = frozenset(
    {"singleLineText", "multilineText", "richText", "email", "url", "phoneNumber"}
)
NUMBER_TYPES = frozenset({"number", "currency", "percent", "rating", "duration"})


def is_empty(value: Any) -> bool:
    """Responses leave empty cells out. 0 is not empty."""
    return value is None or value is False or value in ("", [], {})


def as_string(value: Any) -> str:
    """The text for cellFormat=string. Airtable formats it by locale; the sandbox does not."""
    if isinstance(value, list):
        return ", ".join(as_string(item) for item in value)
    if isinstance(value, dict):
        return str(next((value[key] for key in ("name", "text", "value") if key in value), ""))
    if value is True:
        return "checked"
    return str(value)


def accept(field: Field, value: Any, *, typecast: bool) -> Any:
    """The value to store. Raises AirtableError (422) if the field does not accept it."""
    if field.is_computed:
        raise invalid_value(field.name, "a value because the field is computed")
    if is_empty(value):
        return None
    if typecast:
        value = _cast(field, value)
    if not _fits(field, value):
        raise invalid_value(field.name)
    if field.type in ("singleSelect", "multipleSelects"):
        _check_choices(field, value if isinstance(value, list) else [value], create=typecast)
    return value


def _cast(field: Field, value: Any) -> Any:
    if field.type in TEXT_TYPES and isinstance(value, int | float):
        return str(value)
    if field.type in NUMBER_TYPES and isinstance(value, str):
        return _to_number(value)
    if field.type in ("multipleSelects", LINK) and isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value


def _to_number(text: str) -> Any:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


CHECKS: dict[str, Callable[[Any], bool]] = (
    dict.fromkeys(TEXT_TYPES | {"singleSelect"}, lambda value: isinstance(value, str))
    | dict.fromkeys(NUMBER_TYPES, _is_number)
    | dict.fromkeys(("multipleSelects", LINK), _is_list_of_text)
    | dict.fromkeys(("date", "dateTime"), _is_date)
    | {"checkbox": lambda value: isinstance(value, bool)}
)


def _fits(field: Field, value: Any) -> bool:
    """Values of types that are not listed (attachments, collaborators, …) are not checked."""
    check = CHECKS.get(field.type)
    return check is None or check(value)


def _check_choices(field: Field, names: list[str], *, create: bool) -> None:
    choices = field.options.setdefault("choices", [])
    for name in names:
        if any(choice["name"] == name for choice in choices):
            continue
        if not create:
            raise unknown_choice(name)
        choices.append({"name": name})
