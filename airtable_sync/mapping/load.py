"""Reads a mapping from a TOML file. `file_model.py` has its words."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from airtable_sync.mapping.file_model import (
    CallersSection,
    LinkedSection,
    MappingFile,
    NumbersSection,
    Section,
)
from airtable_sync.mapping.item_text import ItemText
from airtable_sync.mapping.mistakes import dotted, mistakes
from airtable_sync.mapping.schema import Mapping, MappingError, Node
from airtable_sync.mapping.settings import AGENT_ID
from airtable_sync.mapping.text_format import TextFormat

MAX_FILE_BYTES = 1_000_000


def load_mapping(path: str) -> Mapping:
    """Read a mapping file. Raises MappingError."""
    return parse_mapping(read_text(path), path)


def read_text(path: str) -> str:
    """The text of a mapping file, without a byte order mark. Raises MappingError."""
    try:
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise MappingError(f"{path} is too large: a mapping has at most a megabyte.")
        return Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except OSError as error:
        raise MappingError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise MappingError(f"{path} is not UTF-8: save it as UTF-8 text.") from error


def parse_mapping(text: str, path: str) -> Mapping:
    """The mapping in a TOML text. `path` is only named in messages. Raises MappingError."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MappingError(f"{path} is not valid TOML: {error}.") from error
    try:
        return _mapping(MappingFile.model_validate(content), path)
    except ValidationError as error:
        numbers = content.get("numbers")
        sections = len(numbers) if isinstance(numbers, list) else 1
        raise MappingError(f"{path}: {' '.join(mistakes(error, sections))}") from error


def _mapping(file: MappingFile, path: str) -> Mapping:
    written = file.format
    checkbox = (written.checkbox[0], written.checkbox[1]) if written.checkbox else None
    return Mapping(
        roots=tuple(_node(section, ("numbers",)) for section in file.numbers),
        callers=_node(file.callers, ("callers",)) if file.callers else None,
        text_format=TextFormat(written.locale, written.time_zone, checkbox),
        names=written.names or "",
        defaults=file.defaults,
        path=path,
    )


def _node(section: Section, place: tuple[str, ...], link: str = "") -> Node:
    linked = section if isinstance(section, LinkedSection) else LinkedSection(table=section.table)
    numbers = section if isinstance(section, NumbersSection) else None
    callers = section if isinstance(section, CallersSection) else None
    return Node(
        table=section.table,
        place=dotted(place),
        view=section.view or "",
        filter=(section.filter or "").strip(),
        link=link,
        many=linked.many,
        sort=tuple(linked.sort),
        separator=linked.separator,
        required=linked.required,
        every_field=section.variables == "*",
        variables=_variables(section),
        excluded=frozenset(section.except_),
        renamed=tuple(section.rename.items()),
        prefix=section.prefix,
        settings=_settings(section),
        settings_may_lack=isinstance(section.settings, list),
        pairs_field=section.pairs_field or "",
        key_field=section.key_field or "",
        value_field=section.value_field or "",
        item=ItemText.parse(section.item) if section.item else None,
        variable=section.variable or "",
        children=tuple(
            _node(child, (*place, "links", name), name) for name, child in section.links.items()
        ),
        number_fields=_number_fields(numbers) if numbers else (),
        several_per_cell=bool(numbers and numbers.several_per_cell),
        region=(numbers.region or "") if numbers else "",
        belongs_to=(callers.belongs_to or "") if callers else "",
        shared=bool(callers and callers.shared),
    )


def _variables(section: Section) -> tuple[tuple[str, str], ...]:
    if isinstance(section.variables, dict):
        return tuple((name, variable) for variable, name in section.variables.items())
    return () if section.variables == "*" else tuple((name, "") for name in section.variables)


def _settings(section: Section) -> tuple[tuple[str, str], ...]:
    named = section.settings
    pairs = named.items() if isinstance(named, dict) else ((name, name) for name in named)
    return tuple((AGENT_ID if k == "preferred_agent_id" else k, name) for k, name in pairs)


def _number_fields(section: NumbersSection) -> tuple[str, ...]:
    return (section.number_field,) if section.number_field else tuple(section.number_fields)
