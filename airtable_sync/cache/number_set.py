"""Which numbers exist, in eight bytes each: for a process that can't hold all entries."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

MAX_CHANGES = 10_000  # beside the sorted array; then they are merged


class NumberSet:
    """May claim, once in some millions of millions, that a number exists that does not: the caller
    looks it up then. Never the opposite."""

    def __init__(self, numbers: Iterable[str], max_changes: int = MAX_CHANGES) -> None:
        self._sorted = array("Q", sorted(array("Q", map(_hash, numbers))))
        self._changes: dict[int, bool] = {}  # whether it exists
        self._max_changes = max_changes

    def __contains__(self, number: str) -> bool:
        wanted = _hash(number)
        if (changed := self._changes.get(wanted)) is not None:
            return changed
        place = bisect_left(self._sorted, wanted)
        return place < len(self._sorted) and self._sorted[place] == wanted

    def set(self, number: str, *, exists: bool) -> None:
        self._changes[_hash(number)] = exists
        if len(self._changes) > self._max_changes:
            self._merge()

    def _merge(self) -> None:
        changes = self._changes
        kept = array("Q", (each for each in self._sorted if changes.get(each, True)))
        kept.extend(each for each, exists in changes.items() if exists)
        self._sorted, self._changes = array("Q", sorted(set(kept))), {}


def _hash(number: str) -> int:
    return int.from_bytes(blake2b(number.encode(), digest_size=8).digest())
