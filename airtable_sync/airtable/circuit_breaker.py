"""Airtable's circuit breaker: after repeated outages, calls do not wait for Airtable."""

from interlock import CircuitBreaker

from airtable_sync.airtable.errors import (
    LocallyKnownQuotaExceeded,
    LocallyRateLimited,
    LocallyUnavailable,
    Unavailable,
)
from airtable_sync.redis_client.circuit_breaker import OnlyTheseFailures, new_circuit_breaker


def airtable_circuit_breaker() -> CircuitBreaker:
    return new_circuit_breaker(
        "airtable",
        OnlyTheseFailures(Unavailable),
        window_seconds=30,
        open_seconds=5.0,
        not_sent=(LocallyRateLimited, LocallyUnavailable, LocallyKnownQuotaExceeded),
    )
