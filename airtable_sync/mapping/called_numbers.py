"""The called numbers in records."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from airtable_sync.cache.contacts import EVERYBODY, contact_key
from airtable_sync.mapping.formatting import links_of, problem_of, text_of
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
    """`with_several` are the keys of records with several numbers. `invalid` are pairs of a record
    and the reason why it has no number. A contact's number is "<whose>/+32…": each client may have
    another contact with it. Contacts without a number or a client are only counted (`skipped`)."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._by_section: list[dict[str, list[Record]]] = []
        self.with_several: set[tuple[int, str]] = set()
        self.invalid: list[tuple[str, str]] = []
        self.skipped = 0

    def add(self, records: Iterable[Record]) -> None:
        """Those of the next section."""
        section = len(self._by_section)
        root = self._mapping.roots[section]
        found: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            is_contact = root.shared or root.belongs_to
            numbers = self._contacts(root, record) if is_contact else self._numbers(root, record)
            for number in numbers:
                found[number].append(record)
            if len(numbers) > 1:
                self.with_several.add((section, record["id"]))
        for same in found.values():
            if len(same) > 1:
                same.sort(key=lambda record: (record["createdTime"], record["id"]))
        self._by_section.append(found)

    def numbers(self) -> list[str]:
        return sorted({number for found in self._by_section for number in found})

    def records(self, number: str) -> list[NumberRecord]:
        """Those of the first section first, and of each section the oldest first. People duplicate
        a row to start a new one from it: meanwhile the existing customer keeps the number."""
        records: dict[str, NumberRecord] = {}
        for section, found in enumerate(self._by_section):
            for each in found.get(number, ()):
                records.setdefault(each["id"], NumberRecord(section, each))
        return list(records.values())

    def _contacts(self, root: Node, record: Record) -> list[str]:
        cells = record["fields"]
        owners = [EVERYBODY] if root.shared else links_of(cells.get(root.belongs_to))
        texts = [text for name in root.number_fields for text in texts_of(root, cells.get(name))]
        numbers = dict.fromkeys(filter(None, (to_e164(text, root.region) for text in texts)))
        keys = [contact_key(owner, number) for owner in owners for number in numbers]
        self.skipped += not keys
        return keys

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
