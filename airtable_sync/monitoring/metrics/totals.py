"""Everything /metrics tells, read from Redis in one request."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from airtable_sync.airtable import rate_limiter
from airtable_sync.airtable.quota import PLANS
from airtable_sync.cache.redis_store import KNOWN, TELEMETRY, Store
from airtable_sync.monitoring.metrics import (
    airtable_status,
    processes,
    refresh_results,
    time_series,
)
from airtable_sync.monitoring.metrics.airtable_status import NOTHING_NOTED, Marks
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.monitoring.metrics.processes import Process
from airtable_sync.monitoring.metrics.refresh_results import LAST_RUNS, RunResult
from airtable_sync.monitoring.metrics.unflushed_counts import TOTALS, UNKNOWN_CALLED


@dataclass(frozen=True, slots=True)
class State:
    counts: Counts
    month: rate_limiter.Month
    indexed: int  # numbers in the index: also those known to be unknown, and removed ones
    numbers: int | None  # in the last reading of all of Airtable
    confirmed_at: float  # when all of Airtable was asked for last; 0: never
    unknown: int  # numbers called that nobody knows
    processes: list[Process]
    runs: dict[str, RunResult]  # the last one of each status
    marks: Marks = NOTHING_NOTED

    @property
    def set_age_seconds(self) -> float | None:
        return time.time() - self.confirmed_at if self.confirmed_at else None

    @property
    def allowed(self) -> int | None:
        """Requests a month; None if there is no limit, or the plan is not known."""
        return PLANS.get(settings.AIRTABLE_PLAN or "")


def read(store: Store = TELEMETRY) -> State:
    """Raises CacheUnavailable."""
    now = datetime.now(UTC)
    totals, noted, indexed, numbers, unknown, last_runs, *heard = store.ask(
        ("HGETALL", TOTALS),
        airtable_status.command(store, now),
        ("ZCARD", "index"),
        ("SCARD", KNOWN),
        ("ZCARD", UNKNOWN_CALLED),
        ("HGETALL", LAST_RUNS),
        *processes.commands(),
    )
    found = airtable_status.of_reply(noted)
    return State(
        counts=time_series.of_totals(totals),
        month=rate_limiter.monthly_usage(found.requests, now),
        indexed=indexed,
        numbers=int(numbers) if found.confirmed_at else None,
        confirmed_at=min(time.time(), found.confirmed_at / 1000),
        unknown=unknown,
        processes=processes.of_replies(*heard),
        runs=refresh_results.of_hash(last_runs),
        marks=found,
    )
