"""Records become configs: linked tables are joined in memory. A full refresh and the lookup of one
number use the same code."""

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field

from airtable_sync.cache.entry import Entry, Origin
from airtable_sync.mapping.formatting import links_of, problem_of, text_of
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping, Node

Tables = AbstractMapping[str, AbstractMapping[str, Record]]  # table -> record id -> record
KnownFields = AbstractMapping[str, list[str]]  # table -> names of its fields


@dataclass
class Config:
    """The config that one number's records make, with warnings about them."""

    variables: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def entry(self, number: str, read_at: int, origin: Origin) -> Entry:
        return Entry(
            number,
            self.variables,
            read_at,
            origin,
            self.settings,
            tuple(self.records),
            tuple(self.warnings),
        )


@dataclass(frozen=True)
class Conflict:
    """Several records have the same called number. The first one, the oldest, is used."""

    number: str
    records: tuple[str, ...]

    def __str__(self) -> str:
        winner, *others = self.records
        return f"{self.number} is in {winner}, which is used, and again in {', '.join(others)}."


@dataclass(frozen=True)
class InvalidRecord:
    """A record of the numbers' table that makes no config, and the reason. `records` are the record
    itself and those it links to."""

    record: str
    reason: str
    records: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.record}: {self.reason}"


@dataclass
class Joined:
    configs: dict[str, Config] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    invalid: list[InvalidRecord] = field(default_factory=list)


class _NoConfig(ValueError):
    """This record makes no config; the message says why."""


def join(mapping: Mapping, tables: Tables, known: KnownFields) -> Joined:
    """Every number's config. `known` are the fields of each table: a cell that Airtable leaves out
    because it is empty becomes an empty string."""
    joined = Joined()
    root = mapping.root.table
    for number, records in sorted(
        records_by_number(mapping, tables[root].values(), joined).items()
    ):
        configs = []
        for record in records:
            joiner = _Joiner(tables, known, mapping)
            try:
                configs.append(joiner.config_of(record))
            except _NoConfig as error:
                linked = tuple(joiner.config.records)
                reason = f"{number}: {error}"
                joined.invalid.append(InvalidRecord(f"{root}/{record['id']}", reason, linked))
        if configs:
            joined.configs[number] = configs[0]
        if len(configs) > 1:
            names = tuple(config.records[0] for config in configs)
            joined.conflicts.append(Conflict(number, names))
    return joined


def records_by_number(
    mapping: Mapping, records: Iterable[Record], joined: Joined | None = None
) -> dict[str, list[Record]]:
    """The records of each called number, oldest first. People duplicate a row to start a new one
    from it: meanwhile the existing customer keeps the number."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        cell = record["fields"].get(mapping.number_field)
        text = text_of(cell)
        number = to_e164(text, mapping.region)
        if number:
            found[number].append(record)
        elif joined is not None and (text.strip() or problem_of(cell)):
            reason = f"{text[:50]!r} in {mapping.number_field} is not a telephone number."
            joined.invalid.append(InvalidRecord(f"{mapping.root.table}/{record['id']}", reason))
    for same in found.values():
        same.sort(key=lambda record: (record["createdTime"], record["id"]))
    return found


class _Joiner:
    """Collects a config from a number's record and the records it links to."""

    def __init__(self, tables: Tables, known: KnownFields, mapping: Mapping) -> None:
        self.tables, self.known, self.mapping = tables, known, mapping
        self.config = Config()

    def config_of(self, record: Record) -> Config:
        self._visit(self.mapping.root, [record])
        return self.config

    def _visit(self, node: Node, records: list[Record]) -> None:
        if not records and not node.many:
            self._blank(node)
        for record in records:
            self.config.records.append(f"{node.table}/{record['id']}")
            self._take(node, record)
            for child in node.children:
                self._visit(child, self._linked(node, child, record))

    def _blank(self, node: Node) -> None:
        for name in self.mapping.variable_fields(node, list(self.known.get(node.table, ()))):
            self.config.variables.setdefault(name, "")

    def _take(self, node: Node, record: Record) -> None:
        cells = record["fields"]
        fields = list(dict.fromkeys([*self.known.get(node.table, ()), *cells]))
        for name in self.mapping.variable_fields(node, fields):
            if problem := problem_of(cells.get(name)):
                self._warn(node, record, f"{name} {problem} and counts as empty.")
            self._set(node, record, name, text_of(cells.get(name)))
        for name in node.settings:
            if value := text_of(cells.get(name)).strip():
                self.config.settings[name] = value
        if node.pairs_field:
            self._take_pair(node, record, text_of(cells.get(node.pairs_field)))

    def _take_pair(self, node: Node, record: Record, text: str) -> None:
        name, equals, value = text.partition("=")
        if equals and name.strip():
            self._set(node, record, name.strip(), value.strip())
        else:
            self._warn(node, record, f"{node.pairs_field} has no 'name = value' and is left out.")

    def _set(self, node: Node, record: Record, name: str, value: str) -> None:
        before = self.config.variables.get(name, "")
        if value and before and before != value:
            self._warn(node, record, f"{name} was set before, to another value.")
        if value or name not in self.config.variables:
            self.config.variables[name] = value

    def _linked(self, node: Node, child: Node, record: Record) -> list[Record]:
        ids = links_of(record["fields"].get(child.link))
        table = self.tables.get(child.table, {})
        found = [table[record_id] for record_id in ids if record_id in table]
        if len(found) < len(ids):
            self._warn(node, record, f"{child.link} links a {child.table} that does not exist.")
        if not found and child.required:
            raise _NoConfig(f"no {child.table} is linked in {child.link}.")
        if len(found) > 1 and not child.many:
            self._warn(node, record, f"{child.link} links {len(found)}; the first is used.")
            found = found[:1]
        return found

    def _warn(self, node: Node, record: Record, sentence: str) -> None:
        self.config.warnings.append(f"{node.table}/{record['id']}: {sentence}")
