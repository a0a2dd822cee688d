"""Iterators of list requests: they keep the order of the first page, and expire when idle.

An offset names an iterator and the first record of the next page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.airtable.common.clock import Clock
from sandbox.airtable.common.errors import invalid_offset, iterator_not_available
from sandbox.airtable.common.ids import new_id

OFFSET = re.compile(r"(itr[A-Za-z0-9]{14})/(rec[A-Za-z0-9]{14})")


@dataclass
class RecordIterator:
    id: str
    table_id: str
    record_ids: Sequence[str]
    last_used: float
    pages: dict[str, tuple[int, int]] = field(default_factory=dict)
    """First record of a page → its position in record_ids, and the page's number from 1."""


class RecordIterators:
    def __init__(self, clock: Clock, idle_seconds: float) -> None:
        self.clock = clock
        self.idle_seconds = idle_seconds
        self._iterators: dict[str, RecordIterator] = {}

    def begin(self, table_id: str, record_ids: Sequence[str]) -> RecordIterator:
        self._delete_idle()
        return RecordIterator(new_id("itr"), table_id, record_ids, self.clock())

    def resume(self, table_id: str, offset: str) -> tuple[RecordIterator, int]:
        """The iterator, and the position of the first record of the next page."""
        match = OFFSET.fullmatch(offset)
        if match is None:
            raise invalid_offset(offset)
        self._delete_idle()
        iterator = self._iterators.get(match[1])
        if iterator is None or iterator.table_id != table_id or match[2] not in iterator.pages:
            raise iterator_not_available()
        iterator.last_used = self.clock()
        return iterator, iterator.pages[match[2]][0]

    def offset(self, iterator: RecordIterator, position: int, page: int) -> str:
        """The offset of the page that begins at this position."""
        record_id = iterator.record_ids[position]
        iterator.pages[record_id] = (position, page)
        self._iterators[iterator.id] = iterator
        return f"{iterator.id}/{record_id}"

    def page_number(self, offset: str) -> int | None:
        """1 without an offset; None for an unknown offset."""
        if not offset:
            return 1
        iterator_id, _, record_id = offset.partition("/")
        iterator = self._iterators.get(iterator_id)
        page = iterator.pages.get(record_id) if iterator else None
        return page[1] if page else None

    def delete(self, offset: str = "") -> None:
        """Deletes one iterator, or all of them."""
        if offset:
            self._iterators.pop(offset.partition("/")[0], None)
        else:
            self._iterators.clear()

    def _delete_idle(self) -> None:
        oldest = self.clock() - self.idle_seconds
        for iterator in list(self._iterators.values()):
            if iterator.last_used < oldest:
                self._iterators.pop(iterator.id, None)
