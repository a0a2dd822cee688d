"""The mistakes in a mapping file, all at once: each with its place, what is wrong, and the nearest
known word."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from airtable_sync.mapping.file_model import (
    CallersSection,
    FormatSection,
    LinkedSection,
    MappingFile,
    NumbersSection,
)

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
_OF_WORD = {
    "variables": 'must be "*", a list of field names, or { variable = "Field" }',
    "settings": 'must be a list of settings, or { setting = "Field" }',
    "rename": 'must be { "Field" = "variable" }',
    "checkbox": 'must be a list of two texts, such as ["yes", "no"]',
    "names": 'must be "snake_case"',
    "numbers": "must be a section",
}
Location = tuple[str | int, ...]


def mistakes(error: ValidationError, numbers_sections: int = 1) -> list[str]:
    """One sentence for each: `[numbers] tabel: is not a known word; did you mean table?`
    `numbers_sections` is how many sections of called numbers the file has."""
    sentences = [sentence for _, sentence in located_mistakes(error, numbers_sections)]
    if len(sentences) <= SHOWN:
        return sentences
    return [*sentences[:SHOWN], f"There are {len(sentences) - SHOWN} more mistakes."]


def located_mistakes(
    error: ValidationError, numbers_sections: int = 1
) -> list[tuple[Location, str]]:
    """All of them, each with its place in the file's data."""
    found: dict[str, tuple[Location, str]] = {}
    # Of the branches of a union the one with a reason of its own says most.
    errors = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "value_error")
    order = {_place(_without_branches(each["loc"]), 2): None for each in error.errors()}
    for each in errors:
        location = _without_branches(each["loc"])
        what = _what(each["type"], location, each)
        sentence = f"{_place(location, numbers_sections)}: {what}."
        found.setdefault(_place(location, 2), (location, sentence))
    return [found[place] for place in order]


def dotted(keys: Sequence[str | int]) -> str:
    """A section's name as it is written in the file."""
    texts = [str(key) for key in keys]
    return ".".join(text if _BARE_KEY.fullmatch(text) else f'"{text}"' for text in texts)


def _what(kind: str, location: Location, error: Any) -> str:
    if kind == "word":
        return str(error["msg"])
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind in ("missing", "string_too_short") and location[-1:] != ("checkbox",):
        return _EXPECTED[kind]
    if kind == "extra_forbidden":
        return _unknown_word(location)
    for key in reversed(location):
        if key in _OF_WORD and not (key == "numbers" and len(location) > 2):
            return _OF_WORD[str(key)]
    if isinstance(location[-1], int):
        return "must be a list of field names"
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
    if location[0] == "format":
        return FormatSection
    if "links" in location:
        return LinkedSection
    return CallersSection if location[0] == "callers" else NumbersSection


def _words(section: type[BaseModel]) -> list[str]:
    fields = section.model_fields.items()
    return sorted(each.alias or name for name, each in fields)


def _place(location: Location, numbers_sections: int) -> str:
    """`[numbers.links."Opening hours"] table`: the section as it is written in the file, and the
    key."""
    if location[:1] == ("numbers",) and len(location) > 1:
        before = f"section {int(location[1]) + 1} of [[numbers]], " if numbers_sections > 1 else ""
        return before + _place_in_file(("numbers", *location[2:]))
    return _place_in_file(location)


def _place_in_file(location: Location) -> str:
    if len(location) == 1 and location[0] in MappingFile.model_fields:
        return f"[{location[0]}]"
    *section, key = location
    while section and isinstance(key, int):  # an item of a list
        key = section.pop()
    if not section:
        return str(key)
    if section[-1] == "links":
        return f"[{dotted([*section, key])}]"
    return f"[{dotted(section)}] {key}"


def _without_branches(location: Location) -> Location:
    """Without the names that pydantic adds for the branches of a union."""
    branches = ("literal[", "list[", "dict[", "function-")
    return tuple(each for each in location if not str(each).startswith(branches))
