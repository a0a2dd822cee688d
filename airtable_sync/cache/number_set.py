"""Which numbers exist, in eight bytes each: for a process that can't hold all entries."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b

MAX_CHANGES = 10_000  # beside the sorted arrays; then they are merged
PARTS = 256  # sorting one of them does not stop calls for long


class NumberSet:
    """May claim, once in some millions of millions, that a number exists that does not: the caller
    looks it up then. Never the opposite. One thread writes, others read."""

    def __init__(self, numbers: Iterable[str], max_changes: int = MAX_CHANGES) -> None:
        parts = [array("Q") for _ in range(PARTS)]
        for number in numbers:
            value = _hash(number)
            parts[value % PARTS].append(value)
        self._parts = [array("Q", sorted(part)) for part in parts]
        self._changes: dict[int, bool] = {}  # whether it exists
        self._max_changes = max_changes

    def __contains__(self, number: str) -> bool:
        wanted = _hash(number)
        if (changed := self._changes.get(wanted)) is not None:
            return changed
        part = self._parts[wanted % PARTS]
        place = bisect_left(part, wanted)
        return place < len(part) and part[place] == wanted

    def set(self, number: str, *, exists: bool) -> None:
        self._changes[_hash(number)] = exists
        if len(self._changes) > self._max_changes:
            self._merge()

    def _merge(self) -> None:
        """Readers see the changes until the arrays have them."""
        changes: defaultdict[int, dict[int, bool]] = defaultdict(dict)
        for value, exists in self._changes.items():
            changes[value % PARTS][value] = exists
        for place, changed in changes.items():
            kept = {each for each in self._parts[place] if changed.get(each, True)}
            kept.update(each for each, exists in changed.items() if exists)
            self._parts[place] = array("Q", sorted(kept))
        self._changes = {}


def _hash(number: str) -> int:
    return int.from_bytes(blake2b(number.encode(), digest_size=8).digest())
