"""The mapping: which tables and fields make a config. `load_mapping` (`load.py`) reads it from a
TOML file; `resolve.py` compares it with the base. `docs/guides/mapping.md` describes it."""

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, replace

from airtable_sync.mapping.item_text import ItemText
from airtable_sync.mapping.names import snake_case
from airtable_sync.mapping.text_format import TextFormat


class MappingError(ValueError):
    """The mapping file can't be used. The message says what to change: all mistakes at once."""


@dataclass(frozen=True)
class Source:
    """What to read of a table. Sections with the same table, view and filter share it."""

    table: str
    view: str = ""
    filter: str = ""

    @property
    def key(self) -> str:
        """The table's name, if all its records are read."""
        limits = [f"view {self.view}"] * bool(self.view) + [self.filter] * bool(self.filter)
        return f"{self.table} ({', '.join(limits)})" if limits else self.table


@dataclass(frozen=True)
class Node:
    """A section of the mapping: a table and the use of its fields. `place` is its name in the file,
    `link` the field of the parent section that links to it. `variables` are pairs of a field and
    its variable's name, "" for the field's own name. `settings` are pairs of a setting and its
    field."""

    table: str
    place: str = "numbers"
    view: str = ""
    filter: str = ""
    link: str = ""
    many: bool = False
    sort: tuple[str, ...] = ()
    separator: str = ", "
    required: bool = False
    every_field: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    excluded: frozenset[str] = frozenset()
    links_left_out: tuple[str, ...] = ()  # with "*", known from the base
    renamed: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    settings_may_lack: bool = True  # the fields of the settings need not exist
    pairs_field: str = ""
    key_field: str = ""
    value_field: str = ""
    item: ItemText | None = None
    variable: str = ""
    children: tuple["Node", ...] = ()
    number_fields: tuple[str, ...] = ()  # only of a section of [[numbers]]
    several_per_cell: bool = False
    region: str = ""
    belongs_to: str = ""  # only of [callers]: the link field that says whose contact it is …
    shared: bool = False  # … or it is everybody's

    @property
    def source(self) -> Source:
        return Source(self.table, self.view, self.filter)

    def named_fields(self) -> tuple[str, ...]:
        """The fields that the section names: the table must have them."""
        single = (self.pairs_field, self.key_field, self.value_field)
        settings = () if self.settings_may_lack else [name for _, name in self.settings]
        return (
            *self.number_fields,
            *filter(None, (self.belongs_to,)),
            *(name for name, _ in self.variables),
            *(name for name, _ in self.renamed),
            *settings,
            *filter(None, single),
            *(self.item.fields if self.item else ()),
            *(child.link for child in self.children),
        )

    def needs_every_field(self) -> bool:
        """Airtable rejects a request for a field that may be missing."""
        return self.every_field or bool(self.settings and self.settings_may_lack)

    def fields_of_variables(self, known: AbstractMapping[str, object]) -> list[tuple[str, str]]:
        """Pairs of a field and its variable's name, "" for the field's own. `known` are the fields
        of the table."""
        if not self.every_field:
            return list(self.variables)
        used = {*self.number_fields, *self.excluded, *self.links_left_out}
        used |= {self.pairs_field, self.key_field, self.belongs_to}
        used |= {self.value_field, *(name for _, name in self.settings)}
        used |= {child.link for child in self.children}
        return [(name, "") for name in known if name not in used]

    def nodes(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.nodes()


@dataclass(frozen=True)
class Mapping:
    """`names` is "snake_case", or "" for names as written."""

    roots: tuple[Node, ...]
    callers: Node | None = None  # the contacts
    text_format: TextFormat = field(default_factory=TextFormat)
    names: str = ""
    defaults: AbstractMapping[str, str] = field(default_factory=dict)
    path: str = field(default="", compare=False)

    @property
    def region(self) -> str:
        """The country of called numbers without a country code."""
        return next((root.region for root in self.roots if root.region), "")

    def of_numbers(self) -> "Mapping":
        """Only what makes the configs of called numbers."""
        return replace(self, callers=None)

    def of_callers(self) -> "Mapping":
        """The contacts as if they were called numbers: the same lookup and join serve both. Without
        sections if there is no [callers]."""
        if self.callers is None:
            return replace(self, roots=())
        own = {name: text for name, text in self.defaults.items() if self._is_callers(name)}
        return replace(self, roots=(self.callers,), callers=None, defaults=own)

    def _is_callers(self, name: str) -> bool:
        return self.callers is not None and name.startswith(self.callers.prefix or "caller_")

    def nodes(self) -> Iterator[Node]:
        for root in (*self.roots, *filter(None, (self.callers,))):
            yield from root.nodes()

    def tables(self) -> list[str]:
        """Every table once, the first table of called numbers first."""
        return list(dict.fromkeys(node.table for node in (*self.roots, *self.nodes())))

    def number_tables(self) -> list[str]:
        return list(dict.fromkeys(root.table for root in self.roots))

    def sources(self) -> dict[str, Source]:
        """What to read, by its key; first the called numbers."""
        nodes = (*self.roots, *self.nodes())
        return {node.source.key: node.source for node in nodes}

    def linked_sources(self) -> set[str]:
        """The keys of the sources whose records others link to."""
        return {child.source.key for node in self.nodes() for child in node.children}

    def named_fields(self, table: str) -> list[str]:
        """The fields that the mapping names in a table."""
        named = (node.named_fields() for node in self.nodes() if node.table == table)
        return list(dict.fromkeys(name for names in named for name in names))

    def wanted_fields(self, source: Source) -> list[str] | None:
        """The fields to request from Airtable. None for all."""
        nodes = [node for node in self.nodes() if node.source == source]
        if any(node.needs_every_field() for node in nodes):
            return None
        names = (*(node.named_fields() for node in nodes), *(node.sort for node in nodes))
        return list(dict.fromkeys(name for each in names for name in each))

    def variable_name(self, node: Node, name: str, own: str = "") -> str:
        """The variable of a field, or of a name that is the content of a cell."""
        chosen = own or dict(node.renamed).get(name, "")
        written = snake_case(name) if self.names == "snake_case" else ""
        return node.prefix + (chosen or written or name)

    def depends_on_the_clock(self) -> bool:
        """Records may enter or leave although nobody edits them, or somebody edits a view: the
        change feed says nothing of that."""
        return any(
            node.view or "NOW(" in node.filter.upper() or "TODAY(" in node.filter.upper()
            for node in self.nodes()
        )
