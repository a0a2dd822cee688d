"""Reads the pages of several tables: one table after the other, or in parallel when an edit should
be live soon. In parallel only the rate limiter sets the pace."""

import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.mapping.records import Record
from airtable_sync.mapping.schema import Mapping, Source

JOIN_SECONDS = 2.0  # for running requests when reading ends early
Page = tuple[str, list[Record]]  # with the key of its source
_Answer = tuple[str, list[Record] | BaseException | None]  # None: that was the source's last page


def pages_in_order(mapping: Mapping, airtable: AirtableClient) -> Generator[Page, None, None]:
    """Each table's pages in their order. Raises AirtableError."""
    for key, source in mapping.sources().items():
        for page in airtable.pages(source, mapping.wanted_fields(source)):
            yield key, page


def pages_in_parallel(mapping: Mapping, airtable: AirtableClient) -> Generator[Page, None, None]:
    """Pages as they arrive. The first error ends the reading; no request starts after it."""
    answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    ended = threading.Event()

    def read(key: str, source: Source) -> None:
        try:
            with airtable.stop_when(ended):
                for page in airtable.pages(source, mapping.wanted_fields(source)):
                    answers.put((key, page))
            answers.put((key, None))
        except BaseException as error:  # noqa: BLE001 - raised again in the reading thread
            answers.put((key, error))

    threads = [
        threading.Thread(target=read, args=each, name=f"reading-{each[0]}", daemon=True)
        for each in mapping.sources().items()
    ]
    try:
        for each in threads:
            each.start()
        yield from _pages_from(answers, len(threads))
    finally:
        ended.set()
        _join(threads)


def _pages_from(answers: "queue.SimpleQueue[_Answer]", sources: int) -> Iterator[Page]:
    while sources:
        key, answer = answers.get()  # every thread puts its end, and its requests have time limits
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            sources -= 1
        else:
            yield key, answer


def _join(threads: Sequence[threading.Thread]) -> None:
    until = time.monotonic() + JOIN_SECONDS
    for each in threads:
        if each.ident:
            each.join(max(0.0, until - time.monotonic()))
