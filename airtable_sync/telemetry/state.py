"""Everything /metrics tells, read from Redis in one request."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from airtable_sync import budget
from airtable_sync.counts import Counts
from airtable_sync.forecast import PLANS
from airtable_sync.store import KNOWN, TELEMETRY, Store
from airtable_sync.telemetry import history, marks, processes, run_results
from airtable_sync.telemetry.counting import TOTALS, UNKNOWN_CALLED
from airtable_sync.telemetry.marks import NOTHING_NOTED, Marks
from airtable_sync.telemetry.processes import Process
from airtable_sync.telemetry.run_results import LAST_RUNS, RunResult


@dataclass(frozen=True, slots=True)
class State:
    counts: Counts
    month: budget.Month
    indexed: int  # numbers in the index: also those known to be unknown, and removed ones
    numbers: int | None  # in the last reading of all of Airtable
    complete_at: float  # when all of Airtable was asked for last; 0: never
    unknown: int  # numbers called that nobody knows
    processes: list[Process]
    runs: dict[str, RunResult]  # the last one of each status
    marks: Marks = NOTHING_NOTED

    @property
    def set_age_seconds(self) -> float | None:
        return time.time() - self.complete_at if self.complete_at else None

    @property
    def allowed(self) -> int | None:
        """Requests a month; None if there is no limit, or the plan is not known."""
        return PLANS.get(settings.AIRTABLE_PLAN or "")


def read(store: Store = TELEMETRY) -> State:
    """Raises StoreUnavailable."""
    now = datetime.now(UTC)
    totals, noted, indexed, numbers, unknown, last_runs, *heard = store.ask(
        ("HGETALL", TOTALS),
        marks.command(store, now),
        ("ZCARD", "index"),
        ("SCARD", KNOWN),
        ("ZCARD", UNKNOWN_CALLED),
        ("HGETALL", LAST_RUNS),
        *processes.commands(),
    )
    found = marks.of_reply(noted)
    return State(
        counts=history.of_totals(totals),
        month=budget.month_of(found.requests, now),
        indexed=indexed,
        numbers=int(numbers) if found.complete_at else None,
        complete_at=min(time.time(), found.complete_at / 1000),
        unknown=unknown,
        processes=processes.of_replies(*heard),
        runs=run_results.of_hash(last_runs),
        marks=found,
    )
