"""Reading tables one after the other or, where somebody waits for an edit to be live, side by side:
then only the budget of requests, which all of them share, is the bound."""

import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence

from airtable_sync.airtable.client import Airtable, Record
from airtable_sync.mapping.schema import Mapping

LEAVE_SECONDS = 2.0  # for requests under way when reading ends early; then they end by themselves
Page = tuple[str, list[Record]]  # with its table
_Answer = tuple[str, list[Record] | BaseException | None]  # None: that was the table's last page


def one_by_one(mapping: Mapping, airtable: Airtable) -> Generator[Page, None, None]:
    """Each table's pages in their order. Raises AirtableError."""
    for table in mapping.tables():
        for page in airtable.all(table, mapping.wanted_fields(table)):
            yield table, page


def side_by_side(mapping: Mapping, airtable: Airtable) -> Generator[Page, None, None]:
    """The same, as they come. The first error ends it; then no further request is begun."""
    answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    ended = threading.Event()

    def read(table: str) -> None:
        try:
            with airtable.until(ended):
                for page in airtable.all(table, mapping.wanted_fields(table)):
                    answers.put((table, page))
            answers.put((table, None))
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            answers.put((table, error))

    threads = [
        threading.Thread(target=read, args=(table,), name=f"reading-{table}", daemon=True)
        for table in mapping.tables()
    ]
    try:
        for each in threads:
            each.start()
        yield from _taken(answers, len(threads))
    finally:
        ended.set()
        _leave(threads)


def _taken(answers: "queue.SimpleQueue[_Answer]", tables: int) -> Iterator[Page]:
    while tables:
        table, answer = answers.get()  # each thread's requests have limits, and it always says so
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            tables -= 1
        else:
            yield table, answer


def _leave(threads: Sequence[threading.Thread]) -> None:
    until = time.monotonic() + LEAVE_SECONDS
    for each in threads:
        if each.ident:
            each.join(max(0.0, until - time.monotonic()))
