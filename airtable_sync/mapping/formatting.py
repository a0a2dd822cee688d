"""Airtable's cell values as text: https://airtable.com/developers/web/api/field-model"""

import json
from typing import Any

# Airtable's own cells have four levels at most (a lookup of attachments with thumbnails). Python
# would end with a RecursionError at some hundreds.
MAX_DEPTH = 20


def is_error(cell: Any) -> bool:
    """Whether a formula or lookup failed: `{"error": "#ERROR!"}`, `{"specialValue": "NaN"}`."""
    return isinstance(cell, dict) and set(cell) in ({"error"}, {"specialValue"})


def problem_of(cell: Any) -> str:
    """Why a cell has no value, as the end of a sentence; "" if it has one."""
    if not isinstance(cell, dict | list):
        return ""
    if is_error(cell) or (isinstance(cell, list) and any(is_error(item) for item in cell)):
        return "shows an error in Airtable"
    return "is nested too deeply" if is_too_deep(cell) else ""


def is_too_deep(cell: Any, depth: int = MAX_DEPTH) -> bool:
    if not isinstance(cell, dict | list):
        return False
    items = cell.values() if isinstance(cell, dict) else cell
    return depth == 0 or any(is_too_deep(item, depth - 1) for item in items)


def text_of(cell: Any) -> str:
    """Every type of cell as a string. An empty, failed or too deeply nested cell becomes an empty
    string; an unknown type becomes JSON. Never raises."""
    return "" if is_too_deep(cell) else _text_of(cell)


def _text_of(cell: Any) -> str:
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
        return ", ".join(filter(None, (_text_of(item) for item in cell)))
    return _text_of_object(cell)


# For collaborators, barcodes, AI text, buttons and attachments (whose URL expires in two hours).
_READABLE = ("name", "email", "text", "value", "label", "filename")


def _text_of_object(cell: Any) -> str:
    if isinstance(cell, dict):
        for key in _READABLE:
            if isinstance(cell.get(key), str | int | float):
                return _text_of(cell[key])
        if "state" in cell:  # AI text that is still being generated
            return ""
    return json.dumps(cell, ensure_ascii=False)


def links_of(cell: Any) -> list[str]:
    """The record ids in a link cell."""
    return [item for item in cell if isinstance(item, str)] if isinstance(cell, list) else []
