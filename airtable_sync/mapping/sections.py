"""A mapping's sections, prepared for a join: which fields become which variables, and how."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from airtable_sync.mapping.formatting import Formatter
from airtable_sync.mapping.known_base import Fields, KnownBase
from airtable_sync.mapping.schema import Mapping, Node
from airtable_sync.mapping.text_format import TextFormat

ToText = Callable[[Any], str]


@dataclass
class Variable:
    field: str
    name: str
    to_text: ToText


@dataclass
class Section:
    """`known` are the table's fields; `item_texts` and `sort_keys` are by field."""

    node: Node
    source: str
    known: frozenset[str]
    variables: list[Variable]
    settings: list[Variable]
    value_text: ToText
    item_texts: dict[str, ToText]
    sort_keys: list[tuple[str, Callable[[Any], Any]]]
    children: list["Section"] = field(default_factory=list)

    @cached_property
    def takes_records(self) -> bool:
        """Whether each record may have something of its own, besides the variables."""
        node = self.node
        return bool(self.settings or node.pairs_field or node.key_field or node.every_field)

    def names(self) -> list[str]:
        """The variables that do not depend on the content of cells."""
        own = [each.name for each in self.variables]
        if self.node.variable:
            own.append(self.node.prefix + self.node.variable)
        return own


class Sections:
    """`roots` are the sections of called numbers. `set_twice` are the variables of two fields, with
    a sentence for each."""

    def __init__(self, mapping: Mapping, base: KnownBase) -> None:
        self._mapping, self._base = mapping, base
        self._formatter = Formatter(mapping.text_format)
        self._plain = Formatter(TextFormat())
        self.roots = [self._section(root) for root in mapping.roots]
        self.set_twice: dict[str, str] = {}
        for root in self.roots:
            self._find_set_twice(root, {})

    def blank_variables(self) -> dict[str, str]:
        """Every variable whose name is known, "" or its default."""
        names = [name for root in self.roots for name in _names(root)]
        return {**dict.fromkeys(names, ""), **self._mapping.defaults}

    def new_variable(self, node: Node, field_name: str) -> Variable:
        """The variable of a field that the schema does not have."""
        name = self._mapping.variable_name(node, field_name)
        return Variable(field_name, name, self._formatter.for_field(None))

    def variable_name(self, node: Node, name: str) -> str:
        return self._mapping.variable_name(node, name)

    def _section(self, node: Node) -> Section:
        known = self._base.fields.get(node.table, {})
        item_fields = node.item.fields if node.item else ()
        return Section(
            node,
            node.source.key,
            frozenset(known),
            [
                Variable(
                    name, self._mapping.variable_name(node, name, own), self._to_text(known, name)
                )
                for name, own in node.fields_of_variables(known)
            ],
            [
                Variable(name, setting, self._plain.for_field(known.get(name)))
                for setting, name in node.settings
            ],
            self._to_text(known, node.value_field),
            {name: self._to_text(known, name) for name in item_fields},
            [(name, self._formatter.sort_key_for(known.get(name))) for name in node.sort],
            [self._section(child) for child in node.children],
        )

    def _to_text(self, known: Fields, name: str) -> ToText:
        return self._formatter.for_field(known.get(name))

    def _find_set_twice(self, section: Section, before: dict[str, str]) -> None:
        """`before`: variable -> the field that sets it first."""
        node = section.node
        named = [(each.name, each.field) for each in section.variables]
        if node.variable:
            named.append((node.prefix + node.variable, "item"))
        for name, source in named:
            own = f"{source} of [{node.place}]"
            if first := before.get(name):
                self.set_twice[name] = (
                    f"The variable {name} is set by {first}, which is used, and again by {own}: "
                    "rename one of them, or give a prefix."
                )
            before.setdefault(name, own)
        for child in section.children:
            self._find_set_twice(child, before)


def _names(section: Section) -> list[str]:
    return [*section.names(), *(name for child in section.children for name in _names(child))]
