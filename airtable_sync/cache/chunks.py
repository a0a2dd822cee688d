"""Pieces of long work."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

# About 200 KB a request: Redis' other clients wait a few milliseconds at most.
ENTRIES_PER_READ = 400
ENTRIES_PER_COUNT = 4000  # only their keys
READS_PER_ROUND_TRIP = 10  # 2 MB


def chunks(items: Iterable[T], size: int = ENTRIES_PER_READ) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
