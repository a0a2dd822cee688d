"""Reads the called numbers in the records of one section of the mapping."""

import re
from typing import Any

from airtable_sync.cache.contacts import EVERYBODY, contact_key
from airtable_sync.mapping.formatting import links_of, problem_of, text_of
from airtable_sync.mapping.phone_numbers import to_e164_once
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Node

_BETWEEN_NUMBERS = re.compile(r"[\n\r,;]+")


class NumberReader:
    """`invalid` are pairs of a record and the reason why it has no number. A contact's number is
    "<whose>/+32…": each client may have another contact with it. Contacts without a number or a
    client are only counted (`skipped`)."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._read = self._contacts if root.shared or root.belongs_to else self._numbers
        self.invalid: list[tuple[str, str]] = []
        self.skipped = 0

    def read(self, record: Record) -> list[str]:
        """Each number once."""
        return self._read(record)

    def _contacts(self, record: Record) -> list[str]:
        root, cells = self._root, record["fields"]
        owners = [EVERYBODY] if root.shared else links_of(cells.get(root.belongs_to))
        texts = [text for name in root.number_fields for text in texts_of(root, cells.get(name))]
        numbers = dict.fromkeys(filter(None, (to_e164_once(text, root.region) for text in texts)))
        keys = [contact_key(owner, number) for owner in owners for number in numbers]
        self.skipped += not keys
        return list(dict.fromkeys(keys))

    def _numbers(self, record: Record) -> list[str]:
        root, numbers = self._root, dict[str, None]()
        for name in root.number_fields:
            cell = record["fields"].get(name)
            for text in texts_of(root, cell):
                if number := to_e164_once(text, root.region):
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
