"""Lookups through Airtable's circuit breaker."""

import time
from contextlib import suppress

from interlock import CircuitBreaker, CircuitOpenError, State

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.airtable_lookup import AirtableLookup

PROBE_SECONDS = 10.0  # no call waits for it


class GuardedLookup:
    """`probe` has shorter time limits: the call that finds out whether Airtable answers again must
    not wait long."""

    def __init__(
        self, lookup: AirtableLookup, probe: AirtableLookup, circuit_breaker: CircuitBreaker
    ) -> None:
        self._lookup = lookup
        self._probe = probe
        self._circuit_breaker = circuit_breaker

    def look_up(self, numbers: list[str], deadline: float = float("-inf")) -> list[Entry]:
        """The entries, not cached yet. `deadline` is of the call that waits longest, by
        `time.monotonic`. Raises AirtableError."""
        try:
            with self._circuit_breaker:
                if self._circuit_breaker.state is State.HALF_OPEN:
                    return list(self._probe.look_up(numbers).values())
                return list(self._lookup.look_up(numbers, deadline).values())
        except CircuitOpenError as error:
            raise Unavailable("Airtable failed repeatedly and is not asked now.") from error

    def probe_if_open(self) -> None:
        """Close an open breaker with one small request, for when no cold number is called, and for
        an Airtable that is slower than `probe` waits."""
        if self._circuit_breaker.state is State.CLOSED:
            return
        with suppress(AirtableError, CircuitOpenError), self._circuit_breaker:
            self._lookup.probe(time.monotonic() + PROBE_SECONDS)
