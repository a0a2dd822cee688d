"""The called numbers in records."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from airtable_sync.mapping.formatting import problem_of, text_of
from airtable_sync.mapping.phone_numbers import to_e164
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping, Node

_BETWEEN_NUMBERS = re.compile(r"[\n\r,;]+")


class NumberRecord(NamedTuple):
    """A record with a called number, and the index of its section of [[numbers]]."""

    section: int
    record: Record

    @property
    def key(self) -> tuple[int, str]:
        return self.section, self.record["id"]


class CalledNumbers:
    """`records` of each called number: those of the first section first, and of each section the
    oldest first. People duplicate a row to start a new one from it: meanwhile the existing customer
    keeps the number. `invalid` are pairs of a record and the reason why it has no number."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self.invalid: list[tuple[str, str]] = []
        self.records: dict[str, list[NumberRecord]] = defaultdict(list)

    def add(self, section: int, records: Iterable[Record]) -> None:
        """Sections are added in their order."""
        root = self._mapping.roots[section]
        found: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            for number in self._numbers(root, record):
                found[number].append(record)
        for number, same in found.items():
            same.sort(key=lambda record: (record["createdTime"], record["id"]))
            taken = {each.record["id"] for each in self.records[number]}
            new = (NumberRecord(section, each) for each in same if each["id"] not in taken)
            self.records[number] += new

    def _numbers(self, root: Node, record: Record) -> list[str]:
        numbers: dict[str, None] = {}
        for name in root.number_fields:
            cell = record["fields"].get(name)
            for text in texts_of(root, cell):
                if number := to_e164(text, root.region):
                    numbers[number] = None
                elif text.strip() or problem_of(cell):
                    reason = f"{text[:50]!r} in {name} is not a telephone number."
                    self.invalid.append((f"{root.table}/{record['id']}", reason))
        return list(numbers)


def texts_of(root: Node, cell: Any) -> list[str]:
    """The texts of which each should be a called number."""
    if not root.several_per_cell:
        return [text_of(cell)]
    cells = cell if isinstance(cell, list) else [cell]
    texts = (text for each in cells for text in _BETWEEN_NUMBERS.split(text_of(each)))
    return [text for text in texts if text.strip()] or [""]
