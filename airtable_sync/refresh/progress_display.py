"""What a refresh shows while it runs and when it ends: on a terminal a bar and a table, otherwise a
few lines."""

import logging
import math
import sys
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from airtable_sync.airtable.base_reader import PUBLISHING, Progress
from airtable_sync.airtable.client import PAGE_SIZE
from airtable_sync.refresh.report import Report

logger = logging.getLogger(__name__)

TOLD = 50  # of each kind
COUNTS = ("added", "changed", "removed", "unchanged")


@contextmanager
def progress(expected: AbstractMapping[str, int]) -> Iterator[Progress]:
    """`expected` is how many records each step had the last time, for the time left."""
    if sys.stderr.isatty():
        with _bar() as bar:
            tasks = _Tasks(bar, expected)
            yield tasks
            tasks.close()
    else:
        lines = _Lines()
        yield lines
        lines.close()


def tell(report: Report) -> None:
    """What is odd, and what would change, a line each and not too many."""
    for kind in (report.conflicts, report.invalid, report.warnings):
        for oddity in kind[:TOLD]:
            logger.warning("%s", oddity)
        if len(kind) > TOLD:
            logger.warning("… and %d more of this kind.", len(kind) - TOLD)


def differences(report: Report) -> Iterator[str]:
    yield from map(str, report.differences[:TOLD])
    more = report.added + report.changed + report.removed - TOLD
    if more > 0:
        yield f"… and {more} more."


def closing_table(report: Report) -> None:
    """The figures of a run, for a person at a terminal."""
    if not sys.stderr.isatty():
        return
    title = f"Refresh: {report.status}"
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.columns[1].justify = "right"
    for name in COUNTS:
        table.add_row(f"{name} numbers", f"{getattr(report, name):,}")
    table.add_row("numbers in all", f"{report.numbers:,}", end_section=True)
    table.add_row("conflicts", f"{len(report.conflicts):,}")
    table.add_row("invalid records", f"{len(report.invalid):,}")
    table.add_row("Airtable requests", f"{report.airtable_requests:,}")
    table.add_row("seconds", f"{report.duration_seconds:.1f}")
    Console(stderr=True).print(table)


def sentence(report: Report) -> str:
    did = {
        "published": "Published",
        "unchanged": "Nothing changed",
        "dry-run": "Would publish",
        "rolled-back": "Rolled back",
    }
    counts = ", ".join(f"{getattr(report, name)} {name}" for name in COUNTS)
    return (
        f"{did[report.status]}: {report.numbers} numbers, {counts}; "
        f"{len(report.conflicts)} conflicts, {len(report.invalid)} invalid; "
        f"{report.airtable_requests} Airtable requests, {report.duration_seconds:.1f} s."
    )


def _bar() -> Bar:
    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pages]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class _Tasks:
    """A bar a step, with how many records it had the last time for its length; when it ends, it is
    as long as it was."""

    def __init__(self, bar: Bar, expected: AbstractMapping[str, int]) -> None:
        self.bar, self.tasks, self.step = bar, dict[str, TaskID](), ""
        for step, records in expected.items():
            self._add(step, records)

    def __call__(self, step: str, done: int) -> None:
        if step != self.step:
            self.close()
            self.step = step
        if step not in self.tasks:
            self._add(step, None)
        self.bar.start_task(self.tasks[step])
        pages = "" if step == PUBLISHING else f"{math.ceil(done / PAGE_SIZE)} pages"
        self.bar.update(self.tasks[step], completed=done, pages=pages)

    def close(self) -> None:
        if self.step:
            task = self.tasks[self.step]
            self.bar.update(task, total=self.bar.tasks[task].completed)

    def _add(self, step: str, records: int | None) -> None:
        self.tasks[step] = self.bar.add_task(_described(step), total=records, start=False, pages="")


class _Lines:
    """A line when a step ends, with how many it was."""

    def __init__(self) -> None:
        self.step, self.done = "", 0

    def __call__(self, step: str, done: int) -> None:
        if self.step and step != self.step:
            self.close()
        self.step, self.done = step, done

    def close(self) -> None:
        if self.step:
            logger.info("%s: %d", _described(self.step), self.done)


def _described(step: str) -> str:
    return step if step == PUBLISHING else f"Reading {step}"
