"""A lookup: reads one or a few numbers from Airtable. One request in the flat layout; at most four,
in three round trips, in the linked one."""

import logging
import time
from collections import defaultdict
from collections.abc import Collection
from collections.abc import Mapping as AbstractMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airtable_sync.airtable import formulas
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.cache.contacts import number_of
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore, clock_now
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.called_numbers import CalledNumbers
from airtable_sync.mapping.formatting import links_of
from airtable_sync.mapping.join import join
from airtable_sync.mapping.joined import Config, InvalidRecord
from airtable_sync.mapping.parts import NUMBERS, Part
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping, Node, Source

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
    """Looks up called numbers, or contacts by their keys: `part` says which part of the mapping.
    Every method raises AirtableError."""

    def __init__(
        self,
        client: AirtableClient,
        active_mapping: ActiveMapping,
        base_schema: BaseSchema,
        clock: RedisStore,
        part: Part = NUMBERS,
    ) -> None:
        self.client = client
        self._active_mapping = active_mapping
        self._base_schema = base_schema
        self._clock = clock
        self._part = part
        # For requests that need not wait for each other. Its threads start no further ones.
        self._branches = ThreadPoolExecutor(BRANCH_THREADS, thread_name_prefix="airtable-branch")

    def look_up(
        self, numbers: Collection[str], deadline: float = float("-inf")
    ) -> dict[str, Entry]:
        """An entry for every number: "unknown" for those that Airtable does not have. `deadline`
        is as in `AirtableClient.until`."""
        return self.look_up_with(numbers, deadline=deadline).entries

    def look_up_with(
        self,
        numbers: Collection[str],
        number_records: Collection[str] = (),
        likely: AbstractMapping[str, Collection[str]] = NO_RECORDS,
        deadline: float = float("-inf"),
    ) -> LookupResult:
        """Also the numbers of these records (`number_records`, ids in tables of called numbers).
        `likely` are record ids by table that the entries are probably made of: they are read in
        parallel, which saves round trips along the links."""
        self.client.require_base()
        base = self._base_schema.known()
        mapping = self._part.of(self._active_mapping.in_base(base))
        read_at, started = clock_now(self._clock), time.monotonic()
        try:
            client = self.client.until(deadline)
            reading = _Reading(client, mapping, self._branches, self._part, self._active_mapping)
            tables, numbers = reading.read(numbers, number_records, likely)
        finally:
            logger.info("Airtable lookup duration: %.3fs", time.monotonic() - started)
        joined = join(mapping, tables, base)
        entries = {n: _entry(n, joined.configs.get(n), read_at) for n in numbers}
        return LookupResult(entries, joined.findings.invalid, read_at)

    def probe(self, deadline: float) -> None:
        """The smallest request: does Airtable answer?"""
        table = self._active_mapping.mapping.roots[0].table
        self.client.until(deadline).find(Source(table), formulas.matches_nothing())


@dataclass
class _Reading:
    """Reads what one lookup needs."""

    client: AirtableClient
    mapping: Mapping
    branches: ThreadPoolExecutor
    part: Part
    active_mapping: ActiveMapping

    def read(
        self,
        numbers: Collection[str],
        number_records: Collection[str],
        likely: AbstractMapping[str, Collection[str]],
    ) -> tuple[dict[str, dict[str, Record]], Collection[str]]:
        """The numbers' records and all linked ones, level by level; and all numbers."""
        tables = _TablesRead(self.mapping, self.client)
        early = [self.branches.submit(tables.read_likely, each, likely[each]) for each in likely]
        found, numbers = self._number_records(numbers, number_records)
        for each in early:
            each.result()
        level: list[tuple[Node, list[Record]]] = []
        for index, root in enumerate(self.mapping.roots):
            same = [each for number in numbers for each in found.records(number)]
            records = [each.record for each in same if each.section == index]
            tables.add(root.source, records)
            level += [(child, records) for child in root.children]
        while level := [(node, parents) for node, parents in level if _linked(node, parents)]:
            reads: defaultdict[Source, list[str]] = defaultdict(list)
            for node, parents in level:
                reads[node.source] += _linked(node, parents)
            list(self.branches.map(lambda read: tables.read(*read), reads.items()))
            level = [
                (child, tables.get(node.source, _linked(node, parents)))
                for node, parents in level
                for child in node.children
            ]
        return tables.records, numbers

    def _number_records(
        self, numbers: Collection[str], record_ids: Collection[str]
    ) -> tuple[CalledNumbers, Collection[str]]:
        """The records of `numbers` and of the numbers that the records `record_ids` have; and all
        these numbers. Mostly one request for each table of called numbers."""
        rows = self._find_in_all(numbers, record_ids)
        found = _called_numbers(self.mapping, rows)
        more = {
            number
            for number in found.numbers()
            if number not in numbers
            and any(each.record["id"] in record_ids for each in found.records(number))
        }
        if more:  # other records may have these numbers too
            others = self._find_in_all(more, ())
            for before, also in zip(rows, others, strict=True):
                before.update(also)
            found = _called_numbers(self.mapping, rows)
        return found, [*numbers, *self.part.served(sorted(more), self.active_mapping)]

    def _find_in_all(
        self, numbers: Collection[str], record_ids: Collection[str]
    ) -> list[dict[str, Record]]:
        """For each section of called numbers its records by id."""

        def find(root: Node) -> dict[str, Record]:
            called = {number_of(each) for each in numbers}
            formula = formulas.matches_numbers(called, root.number_fields, record_ids)
            fields = self.mapping.wanted_fields(root.source)
            return {each["id"]: each for each in self.client.find(root.source, formula, fields)}

        if len(self.mapping.roots) == 1:
            return [find(self.mapping.roots[0])]
        return list(self.branches.map(find, self.mapping.roots))


class _TablesRead:
    """The records read so far. Each id is requested once, whether the record exists or not."""

    def __init__(self, mapping: Mapping, client: AirtableClient) -> None:
        self._sources = mapping.sources()
        self.records: dict[str, dict[str, Record]] = {key: {} for key in self._sources}
        self._mapping, self._client = mapping, client
        self._requested: dict[str, set[str]] = {key: set() for key in self._sources}

    def read_likely(self, table: str, record_ids: Collection[str]) -> None:
        for source in self._sources.values():
            if source.table == table:
                self.read(source, record_ids)

    def read(self, source: Source, record_ids: Collection[str]) -> None:
        """May be called by several threads. An id that two of them request is read once or twice,
        with the same result."""
        requested = self._requested[source.key]
        new = [each for each in record_ids if each not in requested]
        requested.update(new)
        if new:
            fields = self._mapping.wanted_fields(source)
            self.add(source, self._client.get_many(source, new, fields))

    def add(self, source: Source, records: list[Record]) -> None:
        self.records[source.key].update((record["id"], record) for record in records)

    def get(self, source: Source, record_ids: Collection[str]) -> list[Record]:
        found = self.records[source.key]
        return [found[each] for each in record_ids if each in found]


def _called_numbers(mapping: Mapping, rows: list[dict[str, Record]]) -> CalledNumbers:
    found = CalledNumbers(mapping)
    for records in rows:
        found.add(records.values())
    return found


def _entry(number: str, config: Config | None, read_at: int) -> Entry:
    if config is None:
        return Entry(number, None, read_at, "lookup")
    return config.entry(number, read_at, "lookup")


def _linked(node: Node, parents: list[Record]) -> list[str]:
    """The record ids that the parents link to."""
    return [each for parent in parents for each in links_of(parent["fields"].get(node.link))]
