"""`manage.py refresh_airtable_cache`: read Airtable, publish to the cache. Cron's command."""

import json
import logging
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from airtable_sync.airtable import FOR_A_REFRESH, Airtable
from airtable_sync.airtable_errors import AirtableError
from airtable_sync.mapping import MappingError
from airtable_sync.refresh import Busy, Progress, Refused, Report, refresh
from airtable_sync.store import PATIENT, StoreUnavailable

logger = logging.getLogger(__name__)

FAILED, REFUSED = 1, 2
ODDITIES_TOLD = 50


class Command(BaseCommand):
    help = (
        "Read all numbers from Airtable and publish their configs to the cache. "
        "Exits with 0 if published or unchanged, 1 if it failed, 2 if it was refused; "
        "in the last two cases the last good set is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--dry-run", action="store_true", help="show what would change, and change nothing")
        add("--force", action="store_true", help="publish even what looks wrong (an empty base)")
        add("--full", action="store_true", help="read everything, even if nothing seems changed")
        add("--json", action="store_true", help="print one JSON object about what was done")

    def handle(self, *_: Any, **options: Any) -> None:
        self.as_json = options["json"]
        airtable = Airtable(FOR_A_REFRESH)
        try:
            with _progress() as progress:
                report = refresh(
                    PATIENT, airtable, progress, force=options["force"], dry_run=options["dry_run"]
                )
        except Busy as error:
            self._tell(Report("busy"), str(error))
        except Refused as error:
            self._fail(Report("refused", airtable_requests=airtable.requests_made), error, REFUSED)
        except (AirtableError, StoreUnavailable, MappingError) as error:
            self._fail(Report("failed", airtable_requests=airtable.requests_made), error, FAILED)
        except KeyboardInterrupt:
            sentence = Interrupted("Interrupted. What was not published yet stays as it was.")
            self._fail(Report("failed"), sentence, FAILED)
        else:
            self._tell(report)

    def _fail(self, report: Report, error: Exception, status: int) -> None:
        if self.as_json:
            self.stdout.write(_as_json(report, str(error)))
        raise CommandError(f"The refresh {report.status}: {error}", returncode=status) from error

    def _tell(self, report: Report, sentence: str = "") -> None:
        oddities = [*report.conflicts, *report.invalid, *report.warnings]
        for oddity in oddities[:ODDITIES_TOLD]:
            logger.warning("%s", oddity)
        if len(oddities) > ODDITIES_TOLD:
            logger.warning("… and %d more of this kind.", len(oddities) - ODDITIES_TOLD)
        self.stdout.write(_as_json(report) if self.as_json else sentence or _sentence(report))


class Interrupted(Exception):
    pass


def _as_json(report: Report, error: str = "") -> str:
    fields = asdict(report)
    del fields["warnings"]
    fields |= {"conflicts": len(report.conflicts), "invalid": len(report.invalid)}
    fields["duration_seconds"] = round(report.duration_seconds, 3)
    return json.dumps({**fields, "error": error} if error else fields)


def _sentence(report: Report) -> str:
    did = {"published": "Published", "unchanged": "Nothing changed", "dry-run": "Would publish"}
    return (
        f"{did[report.status]}: {report.numbers} numbers, {report.added} added, "
        f"{report.changed} changed, {report.removed} removed, {report.unchanged} unchanged; "
        f"{len(report.conflicts)} conflicts, {len(report.invalid)} invalid; "
        f"{report.airtable_requests} Airtable requests, {report.duration_seconds:.1f} s."
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, a line per step otherwise."""
    if not sys.stderr.isatty():
        lines = _Lines()
        yield lines
        lines.close()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}"),
    )
    with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=None)
            bar.update(tasks[step], completed=done)

        yield show


class _Lines:
    """A line when a step ends, with how many it was."""

    def __init__(self) -> None:
        self.step, self.done = "", 0

    def __call__(self, step: str, done: int) -> None:
        if self.step and step != self.step:
            self.close()
        self.step, self.done = step, done

    def close(self) -> None:
        logger.info("%s: %d", self.step, self.done)
