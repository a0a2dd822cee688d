"""The mistakes in a mapping file, all at once: each with its place, what is wrong, and the nearest
known word."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from airtable_sync.mapping.file_model import LinkedSection, MappingFile, NumbersSection

SHOWN = 20
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_EXPECTED = {
    "missing": "is missing",
    "string_type": "must be a text in quotes",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "bool_type": "must be true or false",
    "list_type": "must be a list of field names",
    "dict_type": "must be a section",
    "model_type": "must be a section",
    "model_attributes_type": "must be a section",
}
Location = tuple[str | int, ...]


def mistakes(error: ValidationError) -> list[str]:
    """One sentence for each: `[numbers] tabel: is not a known word; did you mean table?`"""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        location = _without_branches(each["loc"])
        place, what = _place(location), _what(each["type"], location, each)
        found.setdefault(place, f"{place}: {what}.")
    sentences = list(found.values())
    if len(sentences) <= SHOWN:
        return sentences
    return [*sentences[:SHOWN], f"There are {len(sentences) - SHOWN} more mistakes."]


def _what(kind: str, location: Location, error: Any) -> str:
    if location[-1:] == ("variables",):
        return 'must be "*" or a list of field names'
    if isinstance(location[-1], int):
        return "must be a list of field names"
    if kind == "extra_forbidden":
        return _unknown_word(location)
    if kind == "value_error":
        return str(error["ctx"]["error"])
    return _EXPECTED.get(kind, "has a wrong value")


def _unknown_word(location: Location) -> str:
    known = _words(_section(location[:-1]))
    near = difflib.get_close_matches(str(location[-1]).lower(), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known words: {', '.join(known)}"
    return f"is not a known word ({hint})"


def _section(location: Location) -> type[BaseModel]:
    """The class of the section at this place."""
    if not location:
        return MappingFile
    return LinkedSection if "links" in location else NumbersSection


def _words(section: type[BaseModel]) -> list[str]:
    fields = section.model_fields.items()
    return sorted(each.alias or name for name, each in fields)


def _place(location: Location) -> str:
    """`[numbers.links."Opening hours"] table`: the section as it is written in the file, and the
    key."""
    if len(location) == 1 and location[0] in MappingFile.model_fields:
        return f"[{location[0]}]"
    *section, key = location
    while section and isinstance(key, int):  # an item of a list
        key = section.pop()
    if not section:
        return str(key)
    if section[-1] == "links":
        return f"[{_dotted([*section, key])}]"
    return f"[{_dotted(section)}] {key}"


def _dotted(keys: Sequence[str | int]) -> str:
    texts = [str(key) for key in keys]
    return ".".join(text if _BARE_KEY.fullmatch(text) else f'"{text}"' for text in texts)


def _without_branches(location: Location) -> Location:
    """Without the names that pydantic adds for the branches of a union."""
    return tuple(
        each for each in location if not str(each).startswith(("literal[", "list[", "function-"))
    )
