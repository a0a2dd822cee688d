"""Everything that /metrics shows, read from Redis in one round trip."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airtable_sync.airtable.limits.monthly_usage import MonthlyUsage, monthly_usage
from airtable_sync.cache.keys import INDEX, KNOWN_NUMBERS
from airtable_sync.cache.processes import (
    PROCESSES_COMMAND,
    Process,
    decode_processes,
)
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.monitoring.calls.unknown_numbers import LAST_CALLED_KEY
from airtable_sync.monitoring.export.airtable_status import (
    AirtableStatus,
    decode_status,
    status_command,
)
from airtable_sync.monitoring.export.refresh_results import (
    LAST_RUNS_KEY,
    RefreshResult,
    decode_results,
)
from airtable_sync.monitoring.export.unflushed_counts import TOTALS_KEY
from airtable_sync.monitoring.metrics.counts import Counts, counts_from_tally


@dataclass(frozen=True, slots=True)
class Totals:
    counts: Counts  # since Redis was set up
    usage: MonthlyUsage
    index_entries: int  # also unknown and removed numbers
    numbers: int | None  # known ones, after the last publication and the changes since
    confirmed_at: float  # s: when all of Airtable was last read, or confirmed unchanged; 0: never
    unknown_numbers: int  # that were called
    processes: list[Process]
    last_runs: dict[str, RefreshResult]  # status -> the last run
    airtable: AirtableStatus = field(default_factory=AirtableStatus)

    @property
    def cache_age_seconds(self) -> float | None:
        return time.time() - self.confirmed_at if self.confirmed_at else None


def read_totals(store: RedisStore) -> Totals:
    """Raises CacheUnavailable."""
    now = datetime.now(UTC)
    totals, status, index_entries, numbers, unknown, last_runs, processes = store.read_all(
        ("HGETALL", TOTALS_KEY),
        status_command(store, now),
        ("ZCARD", INDEX),
        ("SCARD", KNOWN_NUMBERS),
        ("ZCARD", LAST_CALLED_KEY),
        ("HGETALL", LAST_RUNS_KEY),
        PROCESSES_COMMAND,
    )
    airtable = decode_status(status)
    return Totals(
        counts=_decode_counts(totals),
        usage=monthly_usage(airtable.requests, now),
        index_entries=index_entries,
        numbers=int(numbers) if airtable.confirmed_at else None,
        confirmed_at=min(time.time(), airtable.confirmed_at / 1000),
        unknown_numbers=unknown,
        processes=decode_processes(processes),
        last_runs=decode_results(last_runs),
        airtable=airtable,
    )


def _decode_counts(hashed: dict[bytes, bytes]) -> Counts:
    return counts_from_tally({name.decode(): int(count) for name, count in hashed.items()})
