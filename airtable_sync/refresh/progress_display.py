"""The output of a refresh: a progress bar and a table on a terminal, otherwise a few log lines."""

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
from airtable_sync.airtable.pages import PAGE_SIZE
from airtable_sync.refresh.report import Report

logger = logging.getLogger(__name__)

LINES_SHOWN = 50  # of each kind
COUNTS = ("added", "changed", "removed", "unchanged")


@contextmanager
def show_progress(expected: AbstractMapping[str, int]) -> Iterator[Progress]:
    """`expected` is the count of each step in the last run, for the remaining time."""
    if sys.stderr.isatty():
        with _bar() as bar:
            bars = _ProgressBars(bar, expected)
            yield bars
            bars.close()
    else:
        lines = _LogLines()
        yield lines
        lines.close()


def log_warnings(report: Report) -> None:
    """Log conflicts, invalid records and warnings, at most fifty of each."""
    for kind in (report.conflicts, report.invalid, report.warnings):
        for each in kind[:LINES_SHOWN]:
            logger.warning("%s", each)
        if len(kind) > LINES_SHOWN:
            logger.warning("… and %d more of this kind.", len(kind) - LINES_SHOWN)


def difference_lines(report: Report) -> Iterator[str]:
    yield from map(str, report.differences[:LINES_SHOWN])
    more = report.added + report.changed + report.removed - LINES_SHOWN
    if more > 0:
        yield f"… and {more} more."


def show_table(report: Report) -> None:
    """The figures of a run, on a terminal."""
    if not sys.stderr.isatty():
        return
    title = f"Refresh: {report.status}"
    table = Table("", "", title=title, title_justify="left", show_header=False)
    table.columns[1].justify = "right"
    for name in COUNTS:
        table.add_row(f"{name} numbers", f"{getattr(report, name):,}")
    table.add_row("total numbers", f"{report.numbers:,}", end_section=True)
    table.add_row("conflicts", f"{len(report.conflicts):,}")
    table.add_row("invalid records", f"{len(report.invalid):,}")
    table.add_row("Airtable requests", f"{report.airtable_requests:,}")
    table.add_row("seconds", f"{report.duration_seconds:.1f}")
    Console(stderr=True).print(table)


def summary(report: Report) -> str:
    results = {
        "published": "Published",
        "unchanged": "Nothing changed",
        "dry-run": "Would publish",
        "rolled-back": "Rolled back",
    }
    counts = ", ".join(f"{getattr(report, name)} {name}" for name in COUNTS)
    return (
        f"{results[report.status]}: {report.numbers} numbers, {counts}; "
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


class _ProgressBars:
    """One bar per step. Its length is the count of the last run, until the step ends."""

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
        self.tasks[step] = self.bar.add_task(
            _step_title(step), total=records, start=False, pages=""
        )


class _LogLines:
    """One log line when a step ends, with its count."""

    def __init__(self) -> None:
        self.step, self.done = "", 0

    def __call__(self, step: str, done: int) -> None:
        if self.step and step != self.step:
            self.close()
        self.step, self.done = step, done

    def close(self) -> None:
        if self.step:
            logger.info("%s: %d", _step_title(self.step), self.done)


def _step_title(step: str) -> str:
    return step if step == PUBLISHING else f"Reading {step}"
