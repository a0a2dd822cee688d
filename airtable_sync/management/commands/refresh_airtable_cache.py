"""`manage.py refresh_airtable_cache`: the command of the cron job."""

import json
import logging
import time
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.airtable.base_reader import PUBLISHING
from airtable_sync.airtable.errors import OUTAGES, AirtableError
from airtable_sync.airtable.limits.quota import log_forecast
from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.cache.temporary_database import NoRoom
from airtable_sync.management.started_by import has_terminal, is_below_cron, login_name
from airtable_sync.mapping.schema import MappingError
from airtable_sync.models import Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh import progress_display
from airtable_sync.refresh.child_process import become_child
from airtable_sync.refresh.cron_monitor import cron_monitor
from airtable_sync.refresh.history import last_record_counts
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.refresh import OF_CHANGE_FEED, RefreshOptions
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.rollback import PAUSED_MESSAGE, NoSuchSnapshot
from airtable_sync.refresh.validation import RefreshRejected
from airtable_sync.services import services

logger = logging.getLogger(__name__)

FAILED, REJECTED = 1, 2
NEWEST = 0  # no run has this id
_NOT_PRINTED = ("warnings", "differences", "records", "rule", "removed_digest")


class Command(BaseCommand):
    help = (
        "Read all numbers from Airtable and publish their configs to the cache. Exit status: 0 if "
        "published or unchanged, or if another refresh is running; 1 if it failed; 2 if it was "
        "rejected. After 1 and 2 the last published set stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--dry-run", action="store_true", help="only show what would change")
        action.add_argument(
            "--rollback",
            nargs="?",
            type=int,
            const=NEWEST,
            metavar="RUN",
            help="publish the snapshot of an earlier run (without RUN: the one before), and pause "
            "publishing until --release",
        )
        action.add_argument(
            "--release", action="store_true", help="end a rollback's pause, then refresh"
        )
        add(
            "--force",
            action="store_true",
            help="publish without validation, and without waiting for processes with another "
            "mapping; ends a rollback's pause",
        )
        add(
            "--reviewed",
            type=int,
            metavar="RUN",
            help="publish although validation rejects it, if the same rule rejected this run with "
            "the same figures and the same numbers would be removed",
        )
        add("--full", action="store_true", help="read everything, even if nothing changed")
        add("--json", action="store_true", help="print one JSON object")
        add(
            "--trigger",
            choices=Run.Trigger.values,
            help="who or what runs it, for the run history (default: detected; cron is detected on "
            "Render and below a cron daemon)",
        )
        add("--user", default="", help="the name of who runs it, for the run history")
        add("--as-child", action="store_true", help=SUPPRESS)  # of a process that answers calls

    def handle(self, *_: Any, **options: Any) -> None:
        if options["as_child"]:
            become_child()
        self.as_json, self.started = options["json"], time.monotonic()
        self.services = services()
        self.client = self.services.new_client(REFRESH_LIMITS)
        self.trigger = options["trigger"] or _detected_trigger(options)
        self.user = options["user"] or (login_name() if self.trigger == Run.Trigger.COMMAND else "")
        if options["rollback"] is not None:
            self._run(lambda: self._roll_back(options["rollback"]))
            return
        is_cron = self.trigger == Run.Trigger.CRON and not options["dry_run"]
        is_monitored = is_cron and bool(settings.SENTRY_DSN)
        # An operator has paused publishing: that is not a failure of the cron job.
        with cron_monitor(enabled=is_monitored, expected_message=PAUSED_MESSAGE):
            self._run(lambda: self._refresh(options))

    def _roll_back(self, run_id: int) -> Report:
        rollback = self.services.rollback
        return rollback.roll_back(run_id or None, self.trigger, self.user, self.client)

    def _refresh(self, options: dict[str, Any]) -> Report:
        if options["release"] and not self.services.rollback.release():
            logger.info("Publishing was not paused.")
        chosen = OF_CHANGE_FEED
        if not options["as_child"]:
            chosen = RefreshOptions(
                force=options["force"],
                full=options["full"],
                dry_run=options["dry_run"],
                reviewed=options["reviewed"],
                trigger=self.trigger,
                user=self.user,
            )
        expected = last_record_counts()
        if chosen.dry_run:
            expected.pop(PUBLISHING, None)
        with progress_display.show_progress(expected) as progress:
            return self.services.refresh.run(self.client, progress, chosen)

    def _run(self, work: Callable[[], Report]) -> None:
        try:
            report = work()
        except RefreshInProgress as error:
            self.stdout.write(_to_json(Report("busy")) if self.as_json else str(error))
        except RefreshRejected as error:
            self._rejected(error)
        except DatabaseError as error:
            self._failed(f"The database: {error}", is_temporary=True)
        except NoRoom as error:
            self._failed(str(error))
        except (*OUTAGES, CacheUnavailable) as error:
            self._failed(str(error), is_temporary=True)
        except NoSuchSnapshot as error:
            self._fail(Report("failed"), str(error), f"Nothing was rolled back. {error}", FAILED)
        except (AirtableError, MappingError) as error:
            self._failed(str(error))
        except KeyboardInterrupt:
            self._failed("Interrupted. What was not published yet did not change.")
        else:
            self._print(report)

    def _rejected(self, error: RefreshRejected) -> None:
        reason = f"{error} Use --force to publish anyway."
        report = error.report or Report("refused")
        if not self.as_json:
            for line in progress_display.difference_lines(report):
                self.stdout.write(line)
        self._fail(report, reason, f"Refresh rejected: {reason}", REJECTED)

    def _failed(self, error: str, *, is_temporary: bool = False) -> None:
        message = f"Refresh failed: {error}"
        self._fail(Report("failed"), error, message, FAILED, is_temporary=is_temporary)

    def _fail(
        self,
        report: Report,
        error: str,
        message: str,
        status: int,
        *,
        is_temporary: bool = False,
    ) -> None:
        report.airtable_requests = self.client.requests_made
        report.duration_seconds = time.monotonic() - self.started
        if self.as_json:
            self.stdout.write(_to_json(report, error, is_temporary=is_temporary))
        raise CommandError(message, returncode=status)

    def _print(self, report: Report) -> None:
        progress_display.log_warnings(report)
        log_forecast(self.services.rate_limiter, self.services.configuration.airtable_plan)
        if self.as_json:
            self.stdout.write(_to_json(report))
            return
        if report.status == "dry-run":
            for line in progress_display.difference_lines(report):
                self.stdout.write(line)
        progress_display.show_table(report)
        self.stdout.write(progress_display.summary(report))


def _detected_trigger(options: dict[str, Any]) -> str:
    if options["as_child"]:
        return Run.Trigger.CHANGE_FEED
    if has_terminal():
        return Run.Trigger.COMMAND
    is_cron = settings.IS_CRON_JOB or is_below_cron()
    return Run.Trigger.CRON if is_cron else Run.Trigger.SCRIPT


def _to_json(report: Report, error: str = "", *, is_temporary: bool = False) -> str:
    """`is_temporary`: another try may help."""
    fields = {name: value for name, value in asdict(report).items() if name not in _NOT_PRINTED}
    fields |= {"conflicts": len(report.conflicts), "invalid": len(report.invalid)}
    fields |= {"callers": report.callers}
    fields["duration_seconds"] = round(report.duration_seconds, 3)
    if error:
        fields |= {"error": error, "is_temporary": is_temporary}
    return json.dumps(fields)
