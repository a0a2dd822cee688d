"""`manage.py refresh_airtable_cache`: read Airtable, publish to the cache. Cron's command."""

import json
import logging
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.airtable import quota
from airtable_sync.airtable.base_reader import PUBLISHING
from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.publish_target import publish_target
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.mapping.schema import MappingError
from airtable_sync.models import Run
from airtable_sync.monitoring.health_rules import HELD
from airtable_sync.refresh import cron_monitor, history, progress_display, rollback
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.refresh import Options, refresh
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)

FAILED, REFUSED = 1, 2
NEWEST = 0  # no run is called so


class Command(BaseCommand):
    help = (
        "Read all numbers from Airtable and publish their configs to the cache. "
        "Exits with 0 if published or unchanged, or if another refresh is running, with 1 if it "
        "failed, with 2 if it was refused; in the last two cases the last good set is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--dry-run", action="store_true", help="show the difference, no more")
        what.add_argument(
            "--rollback",
            nargs="?",
            type=int,
            const=NEWEST,
            metavar="RUN",
            help="publish the set of an earlier run again (without RUN: the one before), and hold "
            "it against refreshes and changes until --release",
        )
        what.add_argument("--release", action="store_true", help="end a rollback, then refresh")
        add("--force", action="store_true", help="publish even what looks wrong; ends a rollback")
        add("--full", action="store_true", help="read everything, even if nothing seems changed")
        add("--json", action="store_true", help="print one JSON object about what was done")
        add("--by", choices=Run.By.values, help="who runs it, for the record (default: guessed)")
        add("--user", default="", help="the name of who runs it, for the record")

    def handle(self, *_: Any, **options: Any) -> None:
        self.as_json = options["json"]
        self.airtable = Airtable(REFRESH_LIMITS)
        who = options["by"] or (Run.By.COMMAND if sys.stdin.isatty() else Run.By.CRON)
        if options["rollback"] is not None:
            run_id = options["rollback"] or None
            self._do(lambda: rollback.roll_back(run_id, who, options["user"], self.airtable))
        elif who == Run.By.CRON and not options["dry_run"]:
            with cron_monitor.monitored(unless=HELD):  # which an operator wants
                self._do(lambda: self._refresh(who, options))
        else:
            self._do(lambda: self._refresh(who, options))

    def _refresh(self, who: str, options: dict[str, Any]) -> Report:
        if options["release"] and not rollback.release(publish_target()):
            logger.info("No rollback was held.")
        chosen = Options(
            force=options["force"],
            full=options["full"],
            dry_run=options["dry_run"],
            by=who,
            user=options["user"],
        )
        expected = history.last_records()
        if chosen.dry_run:
            expected.pop(PUBLISHING, None)
        with progress_display.progress(expected) as progress:
            return refresh(self.airtable, progress, chosen)

    def _do(self, work: Callable[[], Report]) -> None:
        try:
            report = work()
        except RefreshInProgress as error:
            self.stdout.write(_as_json(Report("busy")) if self.as_json else str(error))
        except RefreshRejected as error:
            self._fail(Report("refused"), f"{error} To publish all the same: --force.", REFUSED)
        except (AirtableError, CacheUnavailable, MappingError) as error:
            self._fail(Report("failed"), str(error), FAILED)
        except rollback.NoSuchSet as error:
            self._fail(Report("failed"), str(error), FAILED)
        except DatabaseError as error:
            self._fail(Report("failed"), f"The database: {error}", FAILED)
        except KeyboardInterrupt:
            sentence = "Interrupted. What was not published yet stays as it was."
            self._fail(Report("failed"), sentence, FAILED)
        else:
            self._tell(report)

    def _fail(self, report: Report, sentence: str, status: int) -> None:
        report.airtable_requests = self.airtable.requests_made
        if self.as_json:
            self.stdout.write(_as_json(report, sentence))
        what = "was refused" if status == REFUSED else "failed"
        raise CommandError(f"The refresh {what}: {sentence}", returncode=status)

    def _tell(self, report: Report) -> None:
        progress_display.tell(report)
        quota.tell()
        if self.as_json:
            self.stdout.write(_as_json(report))
            return
        if report.status == "dry-run":
            for line in progress_display.differences(report):
                self.stdout.write(line)
        progress_display.closing_table(report)
        self.stdout.write(progress_display.sentence(report))


_NOT_PRINTED = ("warnings", "differences", "records")


def _as_json(report: Report, error: str = "") -> str:
    fields = {name: value for name, value in asdict(report).items() if name not in _NOT_PRINTED}
    fields |= {"conflicts": len(report.conflicts), "invalid": len(report.invalid)}
    fields["duration_seconds"] = round(report.duration_seconds, 3)
    return json.dumps({**fields, "error": error} if error else fields)
