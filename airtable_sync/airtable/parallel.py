"""Reads the pages of several tables: one table after the other, or in parallel when an edit should
be live soon. In parallel only the rate limiter sets the pace."""

import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping

JOIN_SECONDS = 2.0  # for running requests when reading ends early
Page = tuple[str, list[Record]]  # with its table
_Answer = tuple[str, list[Record] | BaseException | None]  # None: that was the table's last page


def pages_in_order(mapping: Mapping, airtable: AirtableClient) -> Generator[Page, None, None]:
    """Each table's pages in their order. Raises AirtableError."""
    for table in mapping.tables():
        for page in airtable.pages(table, mapping.wanted_fields(table)):
            yield table, page


def pages_in_parallel(mapping: Mapping, airtable: AirtableClient) -> Generator[Page, None, None]:
    """Pages as they arrive. The first error ends the reading; no request starts after it."""
    answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    ended = threading.Event()

    def read(table: str) -> None:
        try:
            with airtable.stop_when(ended):
                for page in airtable.pages(table, mapping.wanted_fields(table)):
                    answers.put((table, page))
            answers.put((table, None))
        except BaseException as error:  # noqa: BLE001 - raised again in the reading thread
            answers.put((table, error))

    threads = [
        threading.Thread(target=read, args=(table,), name=f"reading-{table}", daemon=True)
        for table in mapping.tables()
    ]
    try:
        for each in threads:
            each.start()
        yield from _pages_from(answers, len(threads))
    finally:
        ended.set()
        _join(threads)


def _pages_from(answers: "queue.SimpleQueue[_Answer]", tables: int) -> Iterator[Page]:
    while tables:
        table, answer = (
            answers.get()
        )  # every thread puts its end, and its requests have time limits
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            tables -= 1
        else:
            yield table, answer


def _join(threads: Sequence[threading.Thread]) -> None:
    until = time.monotonic() + JOIN_SECONDS
    for each in threads:
        if each.ident:
            each.join(max(0.0, until - time.monotonic()))
