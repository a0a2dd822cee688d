"""Records become configs: linked tables are joined. A refresh and the lookup of one number use the
same code."""

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from typing import Any, Protocol

from airtable_sync.mapping.called_numbers import CalledNumbers, NumberRecord, Numbers
from airtable_sync.mapping.formatting import links_of, problem_of, text_of
from airtable_sync.mapping.joined import Config, Conflict, Findings, InvalidRecord, Joined
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.resolve import links_left_out
from airtable_sync.mapping.schema import Mapping
from airtable_sync.mapping.sections import Section, Sections, Variable
from airtable_sync.mapping.settings import problem_of_setting

_MAY_HAVE_PROBLEM = (dict, list, float)
RECORDS_WITH_SEVERAL = 10_000  # of which the config is kept until their next number


class Records(Protocol):
    """The records of one source, by id."""

    def get(self, record_id: str, /) -> Record | None: ...


class Tables(Protocol):
    """By the sources' keys."""

    def get(self, source: str, /) -> Records | None: ...


class _NoConfig(ValueError):
    """This record makes no config; the message says why."""


def join(
    mapping: Mapping, tables: AbstractMapping[str, AbstractMapping[str, Record]], base: KnownBase
) -> Joined:
    """Every number's config. `mapping` is resolved for this `base`."""
    numbers = CalledNumbers(mapping)
    for root in mapping.roots:
        numbers.add(tables.get(root.source.key, {}).values())
    making = Join(mapping, tables, base, numbers)
    configs = dict(making.configs())
    return Joined(making.findings, configs)


class Join:
    """Makes the configs of called numbers, one after the other. `findings` are complete at the
    end."""

    def __init__(self, mapping: Mapping, tables: Tables, base: KnownBase, numbers: Numbers) -> None:
        self._mapping, self._tables, self._numbers = mapping, tables, numbers
        self._sections = Sections(mapping, base)
        self._kept: dict[tuple[int, str], Config | InvalidRecord] = {}
        self.findings = Findings(
            invalid=[InvalidRecord(*each) for each in numbers.invalid],
            warnings=[*links_left_out(mapping), *self._sections.set_twice.values()],
            skipped=numbers.skipped,
        )

    def configs(self) -> Iterator[tuple[str, Config]]:
        """Sorted by number."""
        for number, records in self._numbers.each():
            found = [config for each in records if (config := self._valid(number, each))]
            if not found:
                continue
            if len(found) > 1:
                names = tuple(config.records[0] for config in found)
                self.findings.conflicts.append(Conflict(number, names))
            self.findings.warnings += found[0].warnings
            self.findings.configs += 1
            yield number, found[0]

    def _valid(self, number: str, each: NumberRecord) -> Config | None:
        kept = self._kept.get(each.key) if each.has_several else None
        config = kept or self._config(each)
        if each.has_several and len(self._kept) < RECORDS_WITH_SEVERAL:
            self._kept[each.key] = config
        if isinstance(config, Config):
            return config
        reason = f"{number}: {config.reason}"
        self.findings.invalid.append(InvalidRecord(config.record, reason, config.records))
        return None

    def _config(self, each: NumberRecord) -> Config | InvalidRecord:
        joiner = _Joiner(self._tables, self._sections)
        root = self._sections.roots[each.section]
        try:
            joiner.visit(root, [each.record])
        except _NoConfig as error:
            name = f"{root.node.table}/{each.record['id']}"
            return InvalidRecord(name, str(error), tuple(joiner.config.records))
        variables = joiner.config.variables
        for name, default in self._mapping.defaults.items():
            variables[name] = variables.get(name) or default
        return joiner.config


class _Joiner:
    """Collects a config from a number's record and the records it links to."""

    def __init__(self, tables: Tables, sections: Sections) -> None:
        self.tables, self.sections = tables, sections
        self.config = Config()

    def visit(self, section: Section, records: list[Record]) -> None:
        if len(records) > 1:
            records = _sorted(section, records)
        for record in records:
            self.config.records.append(f"{section.node.table}/{record['id']}")
        if section.variables:
            self._take_variables(section, records)
        if section.takes_records:
            for record in records:
                self._take_record(section, record)
        if section.node.item:
            self._take_items(section, records)
        for child in section.children:
            self.visit(child, self._linked(section, child, records))

    def _take_variables(self, section: Section, records: list[Record]) -> None:
        separator = section.node.separator
        for variable in section.variables:
            texts = [self._text(section, record, variable) for record in records]
            text = texts[0] if len(texts) == 1 else separator.join(filter(None, texts))
            self._set(section, records, variable.name, text)

    def _take_record(self, section: Section, record: Record) -> None:
        """What each record has of its own: settings, a pair, fields that the schema lacks."""
        node, cells = section.node, record["fields"]
        for setting in section.settings:
            if text := setting.to_text(cells.get(setting.field)):
                self._take_setting(section, record, setting, text)
        if node.pairs_field:
            self._take_pair(section, record)
        if node.key_field and (name := text_of(cells.get(node.key_field))):
            text = section.value_text(cells.get(node.value_field))
            self._set_named(section, record, name, text)
        if node.every_field and not cells.keys() <= section.known:
            for name, _ in node.fields_of_variables(cells):
                if name not in section.known and not _is_link(cells[name]):
                    variable = self.sections.new_variable(node, name)
                    text = self._text(section, record, variable)
                    self._set(section, [record], variable.name, text)

    def _take_setting(self, section: Section, record: Record, setting: Variable, text: str) -> None:
        if problem := problem_of_setting(setting.name, text):
            self._warn(section, record, f"{setting.field} {problem} and is left out.")
        else:
            self.config.settings.setdefault(setting.name, text)

    def _text(self, section: Section, record: Record, variable: Variable) -> str:
        cell = record["fields"].get(variable.field)
        if isinstance(cell, _MAY_HAVE_PROBLEM) and (problem := problem_of(cell)):
            self._warn(section, record, f"{variable.field} {problem} and counts as empty.")
        return variable.to_text(cell)

    def _take_pair(self, section: Section, record: Record) -> None:
        field_name = section.node.pairs_field
        name, equals, value = text_of(record["fields"].get(field_name)).partition("=")
        if equals and name.strip():
            self._set_named(section, record, name.strip(), value.strip())
        else:
            self._warn(section, record, f"{field_name} has no 'name = value' and is left out.")

    def _take_items(self, section: Section, records: list[Record]) -> None:
        node = section.node
        texts = (_item_text(section, record) for record in records)
        name = node.prefix + node.variable
        self._set(section, records, name, node.separator.join(filter(None, texts)))

    def _set_named(self, section: Section, record: Record, name: str, text: str) -> None:
        """A variable whose name is the content of a cell."""
        variable = self.sections.variable_name(section.node, name)
        self._set(section, [record], variable, text)

    def _set(self, section: Section, records: list[Record], name: str, text: str) -> None:
        variables = self.config.variables
        before = variables.get(name)
        if not before:
            variables[name] = text
        elif text and text != before and name not in self.sections.set_twice:
            self._warn(section, records[0], f"{name} was set before, to another value.")

    def _linked(self, section: Section, child: Section, records: list[Record]) -> list[Record]:
        if len(records) == 1:
            return self._linked_to(section, child, records[0])
        found: dict[str, Record] = {}
        for record in records:
            found.update((each["id"], each) for each in self._linked_to(section, child, record))
        return list(found.values())

    def _linked_to(self, section: Section, child: Section, record: Record) -> list[Record]:
        node, ids = child.node, links_of(record["fields"].get(child.node.link))
        table = self.tables.get(child.source)
        found = [linked for each in ids if (linked := table.get(each))] if table is not None else []
        if len(found) < len(ids):
            if node.view or node.filter:
                there = {linked["id"] for linked in found}
                self.config.records += (f"{node.table}/{each}" for each in ids if each not in there)
            else:
                sentence = f"{node.link} links a {node.table} that does not exist."
                self._warn(section, record, sentence)
        if not found and node.required:
            raise _NoConfig(f"no {node.table} is linked in {node.link}.")
        if len(found) > 1 and not node.many:
            if not child.sort_keys:
                sentence = f"{node.link} links {len(found)}; the first is used."
                self._warn(section, record, sentence)
            found = _sorted(child, found)[:1]
        return found

    def _warn(self, section: Section, record: Record, sentence: str) -> None:
        self.config.warnings.append(f"{section.node.table}/{record['id']}: {sentence}")


def _item_text(section: Section, record: Record) -> str:
    cells, to_text = record["fields"], section.item_texts
    item = section.node.item
    return item.text(lambda name: to_text[name](cells.get(name))) if item else ""


def _sorted(section: Section, records: list[Record]) -> list[Record]:
    def key(record: Record) -> list[Any]:
        return [key_of(record["fields"].get(name)) for name, key_of in section.sort_keys]

    return sorted(records, key=key) if section.sort_keys else records


def _is_link(cell: object) -> bool:
    """Whether the cell shows only record ids: without the schema a link is known by them."""
    return bool(links_of(cell)) and not text_of(cell)
