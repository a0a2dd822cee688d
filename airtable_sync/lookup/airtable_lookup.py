"""A lookup: reads one or a few numbers from Airtable. One request in the flat layout; at most four,
in three round trips, in the linked one."""

import logging
import time
from collections.abc import Collection
from collections.abc import Mapping as AbstractMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airtable_sync.airtable import formulas
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore, clock_now
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.formatting import links_of
from airtable_sync.mapping.join import Config, InvalidRecord, join, records_by_number
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping, Node

logger = logging.getLogger(__name__)

NO_RECORDS: AbstractMapping[str, Collection[str]] = {}
BRANCH_THREADS = 8
NUMBERS_PER_LOOKUP = 100


@dataclass
class LookupResult:
    """`invalid` are records of the numbers that make no config. `read_at` in ms."""

    entries: dict[str, Entry]
    invalid: list[InvalidRecord]
    read_at: int


class AirtableLookup:
    """Every method raises AirtableError."""

    def __init__(
        self,
        client: AirtableClient,
        active_mapping: ActiveMapping,
        base_schema: BaseSchema,
        clock: RedisStore,
    ) -> None:
        self.client = client
        self._active_mapping = active_mapping
        self._base_schema = base_schema
        self._clock = clock
        # For requests that need not wait for each other. Its threads start no further ones.
        self._branches = ThreadPoolExecutor(BRANCH_THREADS, thread_name_prefix="airtable-branch")

    def look_up(self, numbers: Collection[str]) -> dict[str, Entry]:
        """An entry for every number: "unknown" for those that Airtable does not have."""
        return self.look_up_with(numbers).entries

    def look_up_with(
        self,
        numbers: Collection[str],
        number_records: Collection[str] = (),
        likely: AbstractMapping[str, Collection[str]] = NO_RECORDS,
    ) -> LookupResult:
        """Also the numbers of these records (`number_records`, ids in the numbers' table). `likely`
        are record ids by table that the entries are probably made of: they are read in parallel,
        which saves round trips along the links."""
        self.client.require_base()
        mapping = self._active_mapping.mapping
        read_at, started = clock_now(self._clock), time.monotonic()
        try:
            tables, numbers = self._read(mapping, numbers, number_records, likely)
        finally:
            logger.info("Airtable lookup duration: %.3fs", time.monotonic() - started)
        joined = join(mapping, tables, self._base_schema.fields_by_table())
        entries = {n: _entry(n, joined.configs.get(n), read_at) for n in numbers}
        return LookupResult(entries, joined.invalid, read_at)

    def probe(self) -> None:
        """The smallest request: does Airtable answer?"""
        self.client.find(self._active_mapping.mapping.root.table, formulas.matches_nothing())

    def _read(
        self,
        mapping: Mapping,
        numbers: Collection[str],
        number_records: Collection[str],
        likely: AbstractMapping[str, Collection[str]],
    ) -> tuple[dict[str, dict[str, Record]], Collection[str]]:
        """The numbers' records and all linked ones, level by level; and all numbers."""
        root = mapping.root
        tables = _TablesRead(mapping, self.client)
        early = [self._branches.submit(tables.read, table, likely[table]) for table in likely]
        found, numbers = self._number_records(mapping, numbers, number_records)
        for each in early:
            each.result()
        records = [record for number in numbers for record in found.get(number, ())]
        tables.add(root.table, records)
        level = [(child, records) for child in root.children]
        while level := [(node, parents) for node, parents in level if _linked(node, parents)]:
            reads = [(node.table, _linked(node, parents)) for node, parents in level]
            list(self._branches.map(lambda read: tables.read(*read), reads))
            level = [
                (child, tables.get(node.table, _linked(node, parents)))
                for node, parents in level
                for child in node.children
            ]
        return tables.records, numbers

    def _number_records(
        self, mapping: Mapping, numbers: Collection[str], record_ids: Collection[str]
    ) -> tuple[dict[str, list[Record]], Collection[str]]:
        """The records of `numbers` and of the numbers that the records `record_ids` have; and all
        these numbers. Mostly one request."""
        table = mapping.root.table
        fields = mapping.wanted_fields(table)
        formula = formulas.matches_numbers(numbers, mapping.number_field, record_ids)
        records = self.client.find(table, formula, fields)
        found = records_by_number(mapping, records)
        more = {
            number
            for number, same in found.items()
            if number not in numbers and any(record["id"] in record_ids for record in same)
        }
        if more:  # other records may have these numbers too
            formula = formulas.matches_numbers(more, mapping.number_field)
            others = self.client.find(table, formula, fields)
            unique = {each["id"]: each for each in [*records, *others]}
            found = records_by_number(mapping, unique.values())
        served = filter(self._active_mapping.is_served, sorted(more))
        return found, [*numbers, *served]


class _TablesRead:
    """The records read so far. Each id is requested once, whether the record exists or not."""

    def __init__(self, mapping: Mapping, client: AirtableClient) -> None:
        self.records: dict[str, dict[str, Record]] = {table: {} for table in mapping.tables()}
        self._mapping, self._client = mapping, client
        self._requested: dict[str, set[str]] = {table: set() for table in mapping.tables()}

    def read(self, table: str, record_ids: Collection[str]) -> None:
        """May be called by several threads. An id that two of them request is read once or twice,
        with the same result."""
        new = [each for each in record_ids if each not in self._requested[table]]
        self._requested[table].update(new)
        if new:
            fields = self._mapping.wanted_fields(table)
            self.add(table, self._client.get_many(table, new, fields))

    def add(self, table: str, records: list[Record]) -> None:
        self.records[table].update((record["id"], record) for record in records)

    def get(self, table: str, record_ids: Collection[str]) -> list[Record]:
        found = self.records[table]
        return [found[each] for each in record_ids if each in found]


def _entry(number: str, config: Config | None, read_at: int) -> Entry:
    if config is None:
        return Entry(number, None, read_at, "lookup")
    return config.entry(number, read_at, "lookup")


def _linked(node: Node, parents: list[Record]) -> list[str]:
    """The record ids that the parents link to."""
    return [each for parent in parents for each in links_of(parent["fields"].get(node.link))]
