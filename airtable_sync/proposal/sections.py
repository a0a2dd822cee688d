"""The sections of the mapping: the table of the called numbers, and the tables that its links lead
to, two levels deep."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from airtable_sync.proposal.base import Field, InspectedBase, Table
from airtable_sync.proposal.pairs import Pairs, pairs_of
from airtable_sync.proposal.toml_text import quoted

LEVELS = 2
MAX_LINKED = 25  # a cell with more links is a log, of calls for example


@dataclass
class Section:
    table: Table
    link: Field | None = None  # None: the table of the called numbers
    parent: "Section | None" = None
    many: bool = False
    is_read: bool = True
    pairs: Pairs | None = None
    variables: list[Field] = field(default_factory=list)
    private: list[Field] = field(default_factory=list)  # left out for that reason
    settings: dict[str, Field] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # field name -> variable name
    prefix: str = ""
    links: "list[Section]" = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def all(self) -> "Iterator[Section]":
        """This section, then those below it, as the file has them."""
        yield self
        for each in self.links:
            yield from each.all()

    def path(self) -> "list[Section]":
        """From the table of the called numbers to this one."""
        return [*(self.parent.path() if self.parent else ()), self]

    def place(self) -> str:
        """The field that leads here, for sentences."""
        return field_place(self.parent.table, self.link) if self.parent and self.link else ""

    @property
    def is_useful(self) -> bool:
        return bool(self.variables or self.settings or self.pairs or self.links)


def field_place(table: Table, of: Field) -> str:
    return f"{quoted(of.name)} of {quoted(table.name)}"


def section_tree(base: InspectedBase, table: Table) -> Section:
    """Reads the linked tables, the near ones first."""
    root = Section(table)
    level = [root]
    for _ in range(LEVELS):
        level = [child for section in level for child in _follow_links(base, section)]
    _name_further_links(root, level)
    return root


def _follow_links(base: InspectedBase, section: Section) -> list[Section]:
    if section.pairs:
        return []
    for link in section.table.links():
        if child := _linked_section(base, section, link):
            section.links.append(child)
    return section.links


def _linked_section(base: InspectedBase, parent: Section, link: Field) -> Section | None:
    table = base.table(link.linked_table_id)
    if table is None:
        parent.undecided.append(
            f"{field_place(parent.table, link)} links to a table that the token can't see: it is "
            "left out."
        )
        return None
    if any(table is each.table for each in parent.path()):
        return None  # back to where we came from
    most = _most_linked(base, parent.table, link)
    if most > MAX_LINKED:
        parent.undecided.append(
            f"{field_place(parent.table, link)} links up to {most} records: it is left out."
        )
        return None
    return _section(base, parent, link, table, most)


def _section(
    base: InspectedBase, parent: Section, link: Field, table: Table, most_linked: int
) -> Section:
    is_read = base.read(table)
    section = Section(table, link, parent, is_read=is_read, pairs=pairs_of(base, table))
    section.many = not link.links_one and (most_linked > 1 or bool(section.pairs))
    if section.pairs and section.pairs.value and not section.many:
        section.pairs = None  # one record with a name and a value is no list of variables
    return section


def _most_linked(base: InspectedBase, table: Table, link: Field) -> int:
    cells = base.cells(table, link)
    return max((len(cell) for cell in cells if isinstance(cell, list)), default=0)


def _name_further_links(root: Section, last: list[Section]) -> None:
    further = [
        field_place(section.table, link)
        for section in last
        for link in section.table.links()
        if not section.pairs and link.linked_table_id not in _ids(section.path())
    ]
    if further:
        root.undecided.append(
            f"Links are followed two levels deep: {', '.join(further)} would be a third."
        )


def _ids(sections: list[Section]) -> set[str]:
    return {each.table.id for each in sections}
