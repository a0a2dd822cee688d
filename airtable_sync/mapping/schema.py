"""The mapping file: TOML, parsed and validated. `docs/mapping.md` describes it; `shipped/` has two
examples."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import phonenumbers


class MappingError(ValueError):
    """The mapping file can't be used. The message says what to change."""


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
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path} is not valid TOML: {error}.") from error
    try:
        return _mapping(data, path)
    except MappingError as error:
        raise MappingError(f"{path}: {error}") from error


def _mapping(data: dict[str, Any], path: str) -> Mapping:
    _only(data, {"numbers"}, "the file")
    numbers = _take(data, "numbers", dict, "the file", required=True)
    number_field = _take(numbers, "number_field", str, "[numbers]", required=True)
    region = _take(numbers, "region", str, "[numbers]", default="").upper()
    if region and region not in phonenumbers.SUPPORTED_REGIONS:
        raise MappingError(f'region = "{region}" in [numbers] is not a country code such as "BE".')
    numbers.pop("number_field")
    numbers.pop("region", None)
    return Mapping(_node(numbers, "numbers", ""), number_field, region, path)


_NODE_WORDS = {
    "table",
    "many",
    "required",
    "variables",
    "except",
    "settings",
    "pairs_field",
    "links",
}


def _node(data: Any, place: str, link: str) -> Node:
    if not isinstance(data, dict):
        raise MappingError(f"[{place}] must be a section.")
    where = f"[{place}]"
    _only(data, _NODE_WORDS, where)
    variables = data.get("variables", [])
    every_field = variables == "*"
    if not every_field and not _is_names(variables):
        raise MappingError(f'variables in {where} must be "*" or a list of field names.')
    links = _take(data, "links", dict, where, default={})
    return Node(
        table=_take(data, "table", str, where, required=True),
        link=link,
        many=_take(data, "many", bool, where, default=False),
        required=_take(data, "required", bool, where, default=False),
        every_field=every_field,
        variables=() if every_field else tuple(variables),
        excluded=frozenset(_names(data, "except", where)),
        settings=tuple(_names(data, "settings", where)),
        pairs_field=_take(data, "pairs_field", str, where, default=""),
        children=tuple(
            _node(child, f"{place}.links.{name}", name) for name, child in links.items()
        ),
    )


def _only(data: dict[str, Any], words: set[str], where: str) -> None:
    for word in data:
        if word not in words:
            raise MappingError(
                f"{word} in {where} is not a known word (known words: {', '.join(sorted(words))})."
            )


def _take(
    data: dict[str, Any],
    word: str,
    kind: type,
    where: str,
    *,
    default: Any = None,
    required: bool = False,
) -> Any:
    if word not in data:
        if required:
            raise MappingError(f"{word} is missing in {where}.")
        return default
    if not isinstance(data[word], kind) or data[word] == "":
        names = {str: "a text", bool: "true or false", dict: "a section"}
        raise MappingError(f"{word} in {where} must be {names[kind]}.")
    return data[word]


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _names(data: dict[str, Any], word: str, where: str) -> list[str]:
    names = data.get(word, [])
    if not _is_names(names):
        raise MappingError(f"{word} in {where} must be a list of field names.")
    return list(names)
