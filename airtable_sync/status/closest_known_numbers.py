"""The known number that somebody may have meant, from this process's own copy of all numbers."""

import time
from collections.abc import Iterable

from airtable_sync.cache.replica import of_this_process
from airtable_sync.monitoring.calls.closest_number import nearest

SECONDS = 0.1  # a page may spend on it; the rest is found when the page asks again
_found: dict[str, str | None] = {}
_sequence = -1


def closest_known(numbers: Iterable[str]) -> dict[str, str | None]:
    """For those that there was time for. A number that is known by now is its own nearest."""
    global _sequence, _found
    replica = of_this_process()
    if replica.sequence != _sequence or len(_found) > 1000:
        _sequence, _found = replica.sequence, {}
    left = [number for number in numbers if number not in _found]
    if left:
        known, until = replica.numbers(), time.monotonic() + SECONDS
        for number in left:
            if time.monotonic() > until:
                break
            _found[number] = number if number in known else nearest(number, known)
    return dict(_found)
