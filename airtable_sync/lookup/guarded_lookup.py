"""Lookups through Airtable's circuit breaker."""

from contextlib import suppress

from interlock import CircuitBreaker, CircuitOpenError, State

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.airtable_lookup import AirtableLookup


class GuardedLookup:
    """`probe` has shorter time limits: the call that finds out whether Airtable answers again must
    not wait long."""

    def __init__(
        self, lookup: AirtableLookup, probe: AirtableLookup, circuit_breaker: CircuitBreaker
    ) -> None:
        self._lookup = lookup
        self._probe = probe
        self._circuit_breaker = circuit_breaker

    def look_up(self, numbers: list[str]) -> list[Entry]:
        """The entries, not cached yet. Raises AirtableError."""
        try:
            with self._circuit_breaker:
                is_probe = self._circuit_breaker.state is State.HALF_OPEN
                lookup = self._probe if is_probe else self._lookup
                return list(lookup.look_up(numbers).values())
        except CircuitOpenError as error:
            raise Unavailable("Airtable failed repeatedly and is not asked now.") from error

    def probe_if_open(self) -> None:
        """Close an open breaker with one small request, for when no cold number is called."""
        if self._circuit_breaker.state is State.CLOSED:
            return
        with suppress(AirtableError, CircuitOpenError), self._circuit_breaker:
            self._probe.probe()
