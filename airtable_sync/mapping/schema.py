"""The mapping: which tables and fields make a config. `load_mapping` reads it from a TOML file;
`file_model.py` has its words. `docs/mapping.md` describes it; `shipped/` has two examples."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from airtable_sync.mapping.file_model import LinkedSection, MappingFile, Section
from airtable_sync.mapping.mistakes import mistakes

MAX_FILE_BYTES = 1_000_000


class MappingError(ValueError):
    """The mapping file can't be used. The message says what to change: all mistakes at once."""


@dataclass(frozen=True)
class Node:
    """A section of the mapping: a table and the use of its fields. `link` is the field of the
    parent section that links to it."""

    table: str
    link: str = ""
    many: bool = False
    required: bool = False
    every_field: bool = False
    variables: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    settings: tuple[str, ...] = ()
    pairs_field: str = ""
    children: tuple["Node", ...] = ()

    def named_fields(self) -> tuple[str, ...]:
        """The fields that the section names: the table must have them."""
        pairs = (self.pairs_field,) if self.pairs_field else ()
        return (*self.variables, *pairs, *(child.link for child in self.children))

    def nodes(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.nodes()


@dataclass(frozen=True)
class Mapping:
    root: Node
    number_field: str
    region: str
    path: str = field(default="", compare=False)

    def tables(self) -> list[str]:
        """Every table once, the table of the called numbers first."""
        return list(dict.fromkeys(node.table for node in self.root.nodes()))

    def named_fields(self, table: str) -> list[str]:
        """The fields that the mapping names in a table."""
        names = [self.number_field] if table == self.root.table else []
        for node in self.root.nodes():
            if node.table == table:
                names.extend(node.named_fields())
        return list(dict.fromkeys(names))

    def wanted_fields(self, table: str) -> list[str] | None:
        """The fields to request from Airtable. None for all: where every field is a variable, or
        where a setting's field is optional (Airtable rejects a request for a missing field)."""
        nodes = [node for node in self.root.nodes() if node.table == table]
        if any(node.every_field or node.settings for node in nodes):
            return None
        return self.named_fields(table)

    def variable_fields(self, node: Node, known: list[str]) -> list[str]:
        """The fields of a section that are variables. `known` are the fields of its table."""
        if not node.every_field:
            return list(node.variables)
        used = {self.number_field} if node is self.root else set()
        used |= {*node.settings, node.pairs_field, *(child.link for child in node.children)}
        return [name for name in known if name not in used and name not in node.excluded]


def load_mapping(path: str) -> Mapping:
    """Read a mapping file. Raises MappingError."""
    try:
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise MappingError(f"{path} is too large: a mapping has at most a megabyte.")
        return _mapping(MappingFile.model_validate(tomllib.loads(_text(path))), path)
    except OSError as error:
        raise MappingError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise MappingError(f"{path} is not UTF-8: save it as UTF-8 text.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MappingError(f"{path} is not valid TOML: {error}.") from error
    except ValidationError as error:
        raise MappingError(f"{path}: {' '.join(mistakes(error))}") from error


def _text(path: str) -> str:
    return Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").decode()


def _mapping(file: MappingFile, path: str) -> Mapping:
    numbers = file.numbers
    return Mapping(_node(numbers), numbers.number_field, numbers.region or "", path)


def _node(section: Section, link: str = "") -> Node:
    return Node(
        table=section.table,
        link=link,
        many=isinstance(section, LinkedSection) and section.many,
        required=isinstance(section, LinkedSection) and section.required,
        every_field=section.variables == "*",
        variables=() if section.variables == "*" else tuple(section.variables),
        excluded=frozenset(section.except_),
        settings=tuple(section.settings),
        pairs_field=section.pairs_field or "",
        children=tuple(_node(child, name) for name, child in section.links.items()),
    )
