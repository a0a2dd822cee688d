"""What the JSON of a cell shows without the schema: errors, links, the readable part of objects."""

import json
import math
import re
from typing import Any

# Airtable's own cells have four levels at most (a lookup of attachments with thumbnails). Python
# would end with a RecursionError at some hundreds.
MAX_DEPTH = 20

# For collaborators, barcodes, AI text, buttons and attachments (whose URL expires in two hours).
_READABLE = ("name", "email", "text", "value", "label", "filename")
_RECORD_ID = re.compile(r"\brec[A-Za-z0-9]{14}\b")


def clean(text: str) -> str:
    """Trimmed. A formula may cut an emoji in two: the halves are not valid UTF-8."""
    return (text if text.isascii() else text.encode("utf-8", "replace").decode()).strip()


def is_error(cell: Any) -> bool:
    """Whether a formula or lookup failed: `{"error": "#ERROR!"}`, `{"specialValue": "NaN"}`."""
    return isinstance(cell, dict) and set(cell) in ({"error"}, {"specialValue"})


def is_too_deep(cell: Any, depth: int = MAX_DEPTH) -> bool:
    if not isinstance(cell, dict | list):
        return False
    items = cell.values() if isinstance(cell, dict) else cell
    return depth == 0 or any(is_too_deep(item, depth - 1) for item in items)


def are_record_ids(items: list[Any]) -> bool:
    return all(isinstance(item, str) and _RECORD_ID.fullmatch(item) for item in items)


def problem_of(cell: Any) -> str:
    """Why a cell has no value, as the end of a sentence; "" if it has one."""
    if not isinstance(cell, dict | list | float):
        return ""
    for item in cell if isinstance(cell, list) else (cell,):
        if problem := _problem_of_value(item):
            return problem
    return "is nested too deeply" if is_too_deep(cell) else ""


def _problem_of_value(value: Any) -> str:
    if is_error(value) or (isinstance(value, float) and not math.isfinite(value)):
        return "shows an error in Airtable"
    if not isinstance(value, dict):
        return ""
    if _is_ai_text(value) and value["state"] == "error":
        return "is an AI field that failed"
    if _is_user(value) and not object_text(value, ("name", "email")):
        return "is a collaborator with neither name nor email"
    return ""


def readable_part(cell: dict[Any, Any]) -> Any:
    """The text or number in an object that people see; "" if they see nothing. An object of an
    unknown kind is its JSON, unless it tells the id of a record."""
    if is_error(cell) or _has_failed(cell):
        return ""
    for key in _READABLE:
        part = cell.get(key)
        if isinstance(part, int | float) or (isinstance(part, str) and part.strip()):
            return part
    if "state" in cell or _is_user(cell) or any(cell.get(key) == "" for key in _READABLE):
        return ""
    text = json.dumps(cell, ensure_ascii=False)
    return "" if _RECORD_ID.search(text) else text


def object_text(cell: dict[Any, Any], keys: tuple[str, ...]) -> str:
    """The first of these parts that is a text and not empty; "" if there is none."""
    texts = () if _has_failed(cell) else (cell.get(key) for key in keys)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _is_ai_text(cell: dict[Any, Any]) -> bool:
    return "state" in cell and "isStale" in cell


def _has_failed(cell: dict[Any, Any]) -> bool:
    """Whether this is an AI text that is not there, or not yet."""
    return _is_ai_text(cell) and cell["state"] in ("loading", "error")


def _is_user(cell: dict[Any, Any]) -> bool:
    user = cell.get("id")
    return isinstance(user, str) and user.startswith("usr")
