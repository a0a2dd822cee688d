"""Airtable's cell values as text: https://airtable.com/developers/web/api/field-model"""

import json
from typing import Any


def is_error(cell: Any) -> bool:
    """Whether a formula or lookup failed: `{"error": "#ERROR!"}`, `{"specialValue": "NaN"}`."""
    return isinstance(cell, dict) and set(cell) in ({"error"}, {"specialValue"})


def has_error(cell: Any) -> bool:
    return is_error(cell) or (isinstance(cell, list) and any(is_error(item) for item in cell))


def text_of(cell: Any) -> str:
    """Every type of cell as a string. An empty or failed cell becomes an empty string; an unknown
    type becomes JSON."""
    if isinstance(cell, str):
        # A formula may cut an emoji in two: the halves are not valid UTF-8.
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


# For collaborators, barcodes, AI text, buttons and attachments (whose URL expires in two hours).
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
    """The record ids in a link cell."""
    return [item for item in cell if isinstance(item, str)] if isinstance(cell, list) else []
