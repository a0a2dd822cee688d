"""The base that is inspected: its schema as Airtable returns it, and a sample of four tables at
most. https://airtable.com/developers/web/api/get-base-schema"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from airtable_sync.mapping.formatting import text_of
from airtable_sync.mapping.records import Record

MAX_TABLES_READ = 4
SAMPLE_SIZE = 100
LINK = "multipleRecordLinks"
ATTACHMENTS = "multipleAttachments"

ReadSample = Callable[[str], list[Record]]


@dataclass(frozen=True)
class Field:
    id: str
    name: str
    type: str = ""
    options: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def result_type(self) -> str:
        """The type of what a formula, lookup or rollup shows; otherwise the field's own."""
        result = self.options.get("result")
        return _text(result.get("type")) if isinstance(result, dict) else self.type

    @property
    def time_zone(self) -> str:
        """As in the field's options; "" if it has none."""
        result = self.options.get("result")
        options = result.get("options") if isinstance(result, dict) else self.options
        return _text(options.get("timeZone")) if isinstance(options, dict) else ""

    @property
    def linked_table_id(self) -> str:
        return _text(self.options.get("linkedTableId")) if self.type == LINK else ""

    @property
    def links_one(self) -> bool:
        return self.options.get("prefersSingleRecordLink") is True

    @property
    def choices(self) -> list[str]:
        return [name for each in _dicts(self.options.get("choices")) if (name := _name(each))]


@dataclass(frozen=True)
class Table:
    id: str
    name: str
    primary_field_id: str
    fields: tuple[Field, ...]
    views: tuple[str, ...] = ()

    @property
    def primary(self) -> Field | None:
        return next((each for each in self.fields if each.id == self.primary_field_id), None)

    def links(self) -> list[Field]:
        return [each for each in self.fields if each.type == LINK]

    def matches(self, name_or_id: str) -> bool:
        return name_or_id in (self.name, self.id)


class InspectedBase:
    """Each table is read once at most, and four tables in all."""

    def __init__(self, schema: object, read_sample: ReadSample) -> None:
        """`schema` is the list of tables that Airtable returned. What is malformed is left out.
        `read_sample` returns the first records of the table with this name."""
        readable = [(table, each) for each in _dicts(schema) if (table := _table(each))]
        self.tables = [table for table, _ in readable]
        self.schema = [each for _, each in readable]  # of these tables, as Airtable returned it
        self._read_sample = read_sample
        self._samples: dict[str, list[Record]] = {}

    @property
    def requests(self) -> int:
        """All that were sent to Airtable, with the one for the schema."""
        return 1 + len(self._samples)

    @property
    def can_read_more(self) -> bool:
        return len(self._samples) < MAX_TABLES_READ

    def table(self, name_or_id: str) -> Table | None:
        return next((each for each in self.tables if each.matches(name_or_id)), None)

    def is_read(self, table: Table) -> bool:
        return table.id in self._samples

    def read(self, table: Table) -> bool:
        """Read a sample, once. False if four other tables were read."""
        if self.is_read(table):
            return True
        if not self.can_read_more:
            return False
        records = self._read_sample(table.name)
        self._samples[table.id] = [each for each in records if _is_record(each)][:SAMPLE_SIZE]
        return True

    def records(self, table: Table) -> list[Record]:
        """Those of the sample; none if the table was not read."""
        return self._samples.get(table.id, [])

    def cells(self, table: Table, of: Field) -> list[Any]:
        """The filled cells of the sample."""
        return [cell for each in self.records(table) if (cell := each["fields"].get(of.name))]

    def texts(self, table: Table, of: Field) -> list[str]:
        """The text of the filled cells, trimmed."""
        return [text for each in self.cells(table, of) if (text := text_of(each).strip())]


def _table(answer: dict[str, Any]) -> Table | None:
    id_, name = _text(answer.get("id")), _name(answer)
    if not id_ or not name:
        return None
    fields = [each for part in _dicts(answer.get("fields")) if (each := _field(part))]
    by_name = {each.name: each for each in reversed(fields)}
    fields = [each for each in fields if each is by_name[each.name]]
    views = tuple(view for part in _dicts(answer.get("views")) if (view := _name(part)))
    return Table(id_, name, _text(answer.get("primaryFieldId")), tuple(fields), views)


def _field(answer: dict[str, Any]) -> Field | None:
    id_, name, options = _text(answer.get("id")), _name(answer), answer.get("options")
    if not id_ or not name:
        return None
    return Field(id_, name, _text(answer.get("type")), options if isinstance(options, dict) else {})


def _name(answer: dict[str, Any]) -> str:
    """The name, or the id if TOML can't contain the name: half of an emoji, for example."""
    name = _text(answer.get("name"))
    return name if name == name.encode(errors="replace").decode() else _text(answer.get("id"))


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list | tuple):
        yield from (each for each in value if isinstance(each, dict))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_record(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and isinstance(value.get("fields"), dict)
    )
