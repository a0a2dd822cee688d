"""The known number that is closest to an unknown one: the caller probably meant it."""

import threading
import time
from collections.abc import Iterable

from airtable_sync.cache.replica import Replica
from airtable_sync.monitoring.calls.closest_number import closest_number

SEARCH_SECONDS = 0.1  # per page; the next page continues
MAX_KEPT = 1000


class ClosestKnownNumbers:
    """Keeps what it found until the replica changes."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._found: dict[str, str | None] = {}
        self._sequence = -1
        self._lock = threading.Lock()

    def find(self, numbers: Iterable[str]) -> dict[str, str | None]:
        """Number -> the closest known number, None if none is close. The closest of a known number
        is itself. Numbers that there was no time for are left out."""
        with self._lock:
            self._forget_outdated()
            missing = [number for number in numbers if number not in self._found]
            if missing:
                self._search(missing, time.monotonic() + SEARCH_SECONDS)
            return dict(self._found)

    def _search(self, numbers: Iterable[str], until: float) -> None:
        known = self._replica.known_numbers()
        for number in numbers:
            if time.monotonic() > until:
                break
            self._found[number] = number if number in known else closest_number(number, known)

    def _forget_outdated(self) -> None:
        if self._replica.sequence != self._sequence or len(self._found) > MAX_KEPT:
            self._sequence, self._found = self._replica.sequence, {}
