"""The called numbers in records, each with its records. `stored_records.py` has the same for a
whole base."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from airtable_sync.mapping.number_reader import NumberReader
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping


class NumberRecord(NamedTuple):
    """A record with a called number, and the index of its section of [[numbers]]."""

    section: int
    record: Record
    has_several: bool  # numbers

    @property
    def key(self) -> tuple[int, str]:
        return self.section, self.record["id"]


SameNumber = tuple[str, list[NumberRecord]]  # a called number and the records that have it


class Numbers(Protocol):
    """`invalid` and `skipped` are as in NumberReader."""

    @property
    def invalid(self) -> list[tuple[str, str]]: ...

    @property
    def skipped(self) -> int: ...

    def each(self) -> Iterator[SameNumber]:
        """Sorted by number. The records of the first section come first, and of each section the
        oldest. People duplicate a row to start a new one from it: meanwhile the existing customer
        keeps the number."""
        ...


class CalledNumbers:
    """Those of a few records, in memory."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._by_section: list[dict[str, list[NumberRecord]]] = []
        self.invalid: list[tuple[str, str]] = []
        self.skipped = 0

    def add(self, records: Iterable[Record]) -> None:
        """Those of the next section."""
        section = len(self._by_section)
        reader = NumberReader(self._mapping.roots[section])
        found: dict[str, list[NumberRecord]] = defaultdict(list)
        for record in records:
            numbers = reader.read(record)
            for number in numbers:
                found[number].append(NumberRecord(section, record, len(numbers) > 1))
        for same in found.values():
            same.sort(key=lambda each: (each.record["createdTime"], each.record["id"]))
        self._by_section.append(found)
        self.invalid += reader.invalid
        self.skipped += reader.skipped

    def numbers(self) -> list[str]:
        return sorted({number for found in self._by_section for number in found})

    def records(self, number: str) -> list[NumberRecord]:
        return first_of_each_record(
            each for found in self._by_section for each in found.get(number, ())
        )

    def each(self) -> Iterator[SameNumber]:
        for number in self.numbers():
            yield number, self.records(number)


def first_of_each_record(same: Iterable[NumberRecord]) -> list[NumberRecord]:
    """Two sections may have the same record."""
    found = list(same)
    if len(found) == 1:
        return found
    records: dict[str, NumberRecord] = {}
    for each in found:
        records.setdefault(each.record["id"], each)
    return list(records.values())
