"""The faults that are set, and which of them applies to a request."""

import itertools
import threading
from dataclasses import dataclass

from sandbox.airtable.faults.fault import Fault, RequestInfo


@dataclass
class ActiveFault:
    fault: Fault
    seen: int = 0
    """Matching requests so far, with the skipped ones."""
    hits: int = 0
    """Requests that the fault applied to."""

    def counts(self, request: RequestInfo) -> bool:
        """Counts a matching request. True if the fault applies to it."""
        if not self.fault.matches(request):
            return False
        self.seen += 1
        has_hits_left = self.fault.times is None or self.hits < self.fault.times
        return has_hits_left and self.seen > self.fault.skip


class ActiveFaults:
    """If several faults apply to a request, the oldest one is used. All of them count it."""

    def __init__(self) -> None:
        self._active: dict[int, ActiveFault] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> int:
        """The fault's number, for hits() and remove()."""
        with self._lock:
            number = next(self._numbers)
            self._active[number] = ActiveFault(fault)
            return number

    def remove(self, number: int) -> bool:
        """False if there is no fault with this number."""
        with self._lock:
            return self._active.pop(number, None) is not None

    def clear(self) -> None:
        with self._lock:
            self._active.clear()

    def hits(self, number: int) -> int:
        """The number of requests that a fault applied to."""
        with self._lock:
            return self._active[number].hits

    def all(self) -> dict[int, ActiveFault]:
        with self._lock:
            return dict(self._active)

    def take(self, request: RequestInfo) -> Fault | None:
        """The fault for this request, if there is one. Counts the request."""
        with self._lock:
            due = [each for each in self._active.values() if each.counts(request)]
            if not due:
                return None
            due[0].hits += 1
            return due[0].fault
