"""Everything /metrics tells, read from Redis in one request."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync import budget
from airtable_sync.counts import Counts
from airtable_sync.store import COMPLETE_AT, TELEMETRY, Store
from airtable_sync.telemetry import history, processes, runs
from airtable_sync.telemetry.counting import TOTALS, UNKNOWN_CALLED
from airtable_sync.telemetry.processes import Process
from airtable_sync.telemetry.runs import LAST_RUNS, Run


@dataclass(frozen=True, slots=True)
class State:
    counts: Counts
    month: budget.Month
    indexed: int  # numbers in the index: also those known to be unknown, and removed ones
    complete_at: float  # when all of Airtable was asked for last; 0: never
    unknown: int  # numbers called that nobody knows
    processes: list[Process]
    runs: dict[str, Run]  # the last one of each status


def read(store: Store = TELEMETRY) -> State:
    """Raises StoreUnavailable."""
    now = datetime.now(UTC)
    totals, requests, indexed, complete_at, unknown, last_runs, *heard = store.ask(
        ("HGETALL", TOTALS),
        ("GET", budget.month_name(now)),
        ("ZCARD", "index"),
        ("GET", COMPLETE_AT),
        ("ZCARD", UNKNOWN_CALLED),
        ("HGETALL", LAST_RUNS),
        *processes.commands(),
    )
    return State(
        counts=history.of_totals(totals),
        month=budget.month_of(int(requests or 0), now),
        indexed=indexed,
        complete_at=min(time.time(), int(complete_at or 0) / 1000),
        unknown=unknown,
        processes=processes.of_replies(*heard),
        runs=runs.of_hash(last_runs),
    )
