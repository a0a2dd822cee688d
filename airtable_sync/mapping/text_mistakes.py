"""The mistakes of a mapping's text, each with its line, for the editor in the admin. The sentences
are those of the file's model."""

import re
import tomllib
from dataclasses import dataclass

from pydantic import ValidationError

from airtable_sync.mapping.file_model import MappingFile
from airtable_sync.mapping.load import MAX_FILE_BYTES
from airtable_sync.mapping.mistakes import SHOWN, Location, located_mistakes

TOO_LARGE = "The text is too large: a mapping has at most a megabyte."
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")
_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_HEADER = re.compile(rf"\s*\[\s*(\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]")


@dataclass(frozen=True)
class TextMistake:
    line: int | None  # from 1; None if it is about no line
    message: str


def text_mistakes(text: str) -> list[TextMistake]:
    """The first twenty."""
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        return [TextMistake(None, TOO_LARGE)]
    try:
        content = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        return [_syntax_mistake(str(error), text)]
    except RecursionError:
        return [TextMistake(None, "The text is nested too deeply.")]
    try:
        MappingFile.model_validate(content)
    except ValidationError as error:
        numbers = content.get("numbers")
        sections = len(numbers) if isinstance(numbers, list) else 1
        lines = _lines_of_keys(text)
        found = located_mistakes(error, sections)
        mistakes = [TextMistake(_line(lines, each), message) for each, message in found[:SHOWN]]
        return sorted(mistakes, key=lambda each: each.line or 0)
    return []


def _syntax_mistake(message: str, text: str) -> TextMistake:
    at = _AT_LINE.search(message)
    line = int(at[1]) if at else len(text.splitlines())  # "at end of document"
    return TextMistake(line, f"This is not valid TOML: {_AT_LINE.sub('', message)}.")


def _line(lines: dict[Location, int], location: Location) -> int | None:
    """Of the key, or of the nearest section around it."""
    for end in range(len(location), 0, -1):
        for place in (location[:end], tuple(each for each in location[:end] if each != 0)):
            if place in lines:
                return lines[place]
    return None


def _lines_of_keys(text: str) -> dict[Location, int]:
    """The line of each section and key. A list of sections has the index of each."""
    lines: dict[Location, int] = {}
    section: Location = ()
    counts: dict[Location, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _indexed(_names(header[2]), counts)
            if header[1]:
                counts[section] = counts.get(section, -1) + 1
                section = (*section, counts[section])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault((*section, *_names(key[1])), number)
    return lines


def _names(dotted: str) -> list[str]:
    """The parts of `numbers.links."Opening hours"`."""
    try:
        value = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:  # it was part of a text of several lines
        return []
    names = []
    while isinstance(value, dict):
        [(name, value)] = value.items()
        names.append(name)
    return names


def _indexed(names: list[str], counts: dict[Location, int]) -> Location:
    """A section below a list of sections belongs to the last one."""
    place: Location = ()
    for index, name in enumerate(names):
        place = (*place, name)
        is_last = index == len(names) - 1
        if place in counts and not is_last:
            place = (*place, counts[place])
    return place
