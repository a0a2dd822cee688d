"""A lookup: one number, or a few at once, read from Airtable because a call asked. One request in
the flat layout, at most four in three round trips in the linked one."""

import logging
import time
from collections.abc import Collection
from collections.abc import Mapping as AbstractMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from airtable_sync.airtable import formulas
from airtable_sync.airtable.client import CALL_LIMITS, PROBE_LIMITS, Airtable, Record
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, clock_now
from airtable_sync.mapping import base_schema
from airtable_sync.mapping.formatting import links_of
from airtable_sync.mapping.join import Config, Invalid, claimed, join
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import Mapping, Node, current
from siftly.constant import constant

logger = logging.getLogger(__name__)

NOTHING: AbstractMapping[str, Collection[str]] = {}

# Requests that need not wait for each other go out together. These threads start no further ones.
_BRANCHES = ThreadPoolExecutor(max_workers=8, thread_name_prefix="airtable-branch")
AIRTABLE, PROBING = Airtable(CALL_LIMITS), Airtable(PROBE_LIMITS)


def is_served(number: str) -> bool:
    """Whether Airtable is asked for this number at all (`TO_NUMBERS`)."""
    served = _served()
    return served is None or number in served


@constant
def _served() -> frozenset[str] | None:
    return served_numbers(current()) if settings.TO_NUMBERS else None


def served_numbers(mapping: Mapping) -> frozenset[str]:
    """`TO_NUMBERS` in E.164."""
    return _normalised(tuple(settings.TO_NUMBERS), mapping.region)


@lru_cache(maxsize=4)
def _normalised(texts: tuple[str, ...], region: str) -> frozenset[str]:
    return frozenset(number for text in texts if (number := e164(text, region)))


def look_up(
    numbers: Collection[str],
    airtable: Airtable = AIRTABLE,
) -> dict[str, Entry]:
    """An entry for every number, "unknown" for those that Airtable does not have."""
    return looked_up(numbers, airtable).entries


@dataclass
class LookedUp:
    """`invalid` are the records that claim one of the numbers and make no config."""

    entries: dict[str, Entry]
    invalid: list[Invalid]
    read_at: int


def looked_up(
    numbers: Collection[str],
    airtable: Airtable = AIRTABLE,
    roots: Collection[str] = (),
    likely: AbstractMapping[str, Collection[str]] = NOTHING,
) -> LookedUp:
    """Also the numbers that these records, `roots`, claim. `likely` are records by table that all
    these may be made of: they are read at the same time, which saves the way along the links."""
    airtable.require()  # or nothing can be asked, and nothing need be imported
    mapping = current()
    read_at, started = clock_now(CALLS), time.monotonic()
    try:
        tables, numbers = _read(mapping, numbers, airtable, roots, likely)
    finally:
        logger.info("Airtable lookup duration: %.3fs", time.monotonic() - started)
    joined = join(mapping, tables, base_schema.known(CALLS))
    entries = {number: _entry(number, joined.configs.get(number), read_at) for number in numbers}
    return LookedUp(entries, joined.invalid, read_at)


def probe() -> None:
    """Ask Airtable the least there is to ask. Raises AirtableError."""
    PROBING.matching(current().root.table, formulas.nothing())


def _entry(number: str, config: Config | None, read_at: int) -> Entry:
    if config is None:
        return Entry(number, None, read_at, "lookup")
    return config.entry(number, read_at, "lookup")


def _read(
    mapping: Mapping,
    numbers: Collection[str],
    airtable: Airtable,
    roots: Collection[str],
    likely: AbstractMapping[str, Collection[str]],
) -> tuple[dict[str, dict[str, Record]], Collection[str]]:
    """The numbers' records and all they link to, level by level; and which numbers these are."""
    root = mapping.root
    tables = _Tables(mapping, airtable)
    early = [_BRANCHES.submit(tables.read, table, likely[table]) for table in likely]
    claims, numbers = _claims(mapping, numbers, airtable, roots)
    for each in early:
        each.result()
    found = [record for number in numbers for record in claims.get(number, ())]
    tables.add(root.table, found)
    level = [(child, found) for child in root.children]
    while level := [(node, parents) for node, parents in level if _ids(node, parents)]:
        list(_BRANCHES.map(lambda pair: tables.read(pair[0].table, _ids(*pair)), level))
        level = [
            (child, tables.of(node.table, _ids(node, parents)))
            for node, parents in level
            for child in node.children
        ]
    return tables.records, numbers


def _claims(
    mapping: Mapping, numbers: Collection[str], airtable: Airtable, roots: Collection[str]
) -> tuple[dict[str, list[Record]], Collection[str]]:
    """The records that claim the numbers, and those that the roots claim: mostly one request."""
    table = mapping.root.table
    fields_ = mapping.wanted_fields(table)
    wanted = formulas.any_number(numbers, mapping.number_field, roots)
    records = airtable.matching(table, wanted, fields_)
    claims = claimed(mapping, records)
    more = {
        number
        for number, claiming in claims.items()
        if number not in numbers and any(record["id"] in roots for record in claiming)
    }
    if more:  # others may claim them, too
        others = formulas.any_number(more, mapping.number_field)
        again = airtable.matching(table, others, fields_)
        claims = claimed(mapping, {each["id"]: each for each in [*records, *again]}.values())
    return claims, [*numbers, *filter(is_served, sorted(more))]


class _Tables:
    """The records read so far. Each is asked for once, whether it exists or not."""

    def __init__(self, mapping: Mapping, airtable: Airtable) -> None:
        self.records: dict[str, dict[str, Record]] = {table: {} for table in mapping.tables()}
        self._mapping, self._airtable = mapping, airtable
        self._asked: dict[str, set[str]] = {table: set() for table in mapping.tables()}

    def read(self, table: str, ids: Collection[str]) -> None:
        """May run in several threads, for the same table only with the same answer."""
        new = [each for each in ids if each not in self._asked[table]]
        self._asked[table].update(new)
        if new:
            self.add(table, self._airtable.by_ids(table, new, self._mapping.wanted_fields(table)))

    def add(self, table: str, records: list[Record]) -> None:
        self.records[table].update((record["id"], record) for record in records)

    def of(self, table: str, ids: Collection[str]) -> list[Record]:
        return [self.records[table][each] for each in ids if each in self.records[table]]


def _ids(node: Node, parents: list[Record]) -> list[str]:
    return [each for parent in parents for each in links_of(parent["fields"].get(node.link))]
