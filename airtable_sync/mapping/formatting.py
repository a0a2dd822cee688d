"""Airtable's cells as text. https://airtable.com/developers/web/api/field-model"""

import json
from typing import Any


def is_error(cell: Any) -> bool:
    """A computed cell that failed: `{"error": "#ERROR!"}`, `{"specialValue": "NaN"}`."""
    return isinstance(cell, dict) and set(cell) in ({"error"}, {"specialValue"})


def has_error(cell: Any) -> bool:
    return is_error(cell) or (isinstance(cell, list) and any(is_error(item) for item in cell))


def text_of(cell: Any) -> str:
    """What an agent would read out: every type of cell becomes a string, an empty or failed one an
    empty string. Types that do not exist yet pass through as JSON."""
    if isinstance(cell, str):
        # Half a character, such as a formula makes that cuts an emoji in two, is no text.
        return cell if cell.isascii() else cell.encode("utf-8", "replace").decode()
    if cell is None or is_error(cell):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, int | float):
        return str(cell)
    if isinstance(cell, list):
        return ", ".join(filter(None, (text_of(item) for item in cell)))
    return _text_of_object(cell)


# Collaborator, barcode, AI text, button, attachment (whose address expires in two hours). An object
# with none of these is of a type that did not exist when this was written.
_READABLE = ("name", "email", "text", "value", "label", "filename")


def _text_of_object(cell: Any) -> str:
    if isinstance(cell, dict):
        for key in _READABLE:
            if isinstance(cell.get(key), str | int | float):
                return text_of(cell[key])
        if "state" in cell:  # AI text that is still being generated
            return ""
    return json.dumps(cell, ensure_ascii=False)


def links_of(cell: Any) -> list[str]:
    """The record ids in a link field."""
    return [item for item in cell if isinstance(item, str)] if isinstance(cell, list) else []
