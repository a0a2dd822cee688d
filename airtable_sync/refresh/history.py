"""The run history in the database. A run is kept for 90 days; longer if it has a snapshot, or if
its rollback pauses publishing."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable.access import AirtableAccess
from airtable_sync.airtable.base_reader import PUBLISHING, Progress
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.database import ignore_database_errors
from airtable_sync.mapping.schema import MappingError
from airtable_sync.models import Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.report import DETAILS_KEPT, Report
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)

DAYS_KEPT = 90
PROGRESS_SECONDS = 1.0
REJECTED_WITH_DIFFERENCES = 10  # older rejected runs keep only the counts
_COPIED = (
    "numbers",
    "added",
    "changed",
    "removed",
    "unchanged",
    "airtable_requests",
    "records",
)
SUCCESSFUL = ("published", "unchanged")

# Called when a run has ended, with its duration in seconds.
RunListener = Callable[[Report, float], None]


class RunHistory:
    """Raises DatabaseError only where the database is the shared copy: a run of which the history
    can't be saved may still refresh Redis."""

    def __init__(
        self, access: AirtableAccess, on_run_ended: RunListener, *, has_redis: bool
    ) -> None:
        self._access = access
        self._on_run_ended = on_run_ended
        self._has_redis = has_redis

    @contextmanager
    def record(self, trigger: str, user: str, client: AirtableClient) -> Iterator[Run]:
        """A run from its start. `end` records its success; an exception records its failure."""
        run = Run(started_at=timezone.now(), trigger=trigger, user=user)
        with ignore_database_errors("recording the run", when=self._has_redis):
            _end_killed_runs()
            run.save()
        try:
            yield run
        except RefreshRejected as error:
            report = error.report or Report("refused", rule=error.rule)
            self._end_without_success(run, report, client, str(error))
            raise
        except (AirtableError, CacheUnavailable, MappingError, DatabaseError) as error:
            self._end_without_success(run, Report("failed"), client, str(error))
            raise
        except KeyboardInterrupt:
            self._end_without_success(run, Report("failed"), client, "It was interrupted.")
            raise
        except BaseException as error:
            message = f"An unexpected error ended it: {type(error).__name__}. See the log."
            self._end_without_success(run, Report("failed"), client, message)
            raise

    def with_saved_progress(self, run: Run, progress: Progress) -> Progress:
        """The same progress, also saved once a second for the status page."""
        saved_at = 0.0

        def report(step: str, done: int) -> None:
            nonlocal saved_at
            progress(step, done)
            run.records[step] = done
            if run.pk and time.monotonic() - saved_at >= PROGRESS_SECONDS:
                saved_at = time.monotonic()
                with ignore_database_errors("recording the run", when=self._has_redis):
                    run.save(update_fields=["records"])

        return report

    def end(self, run: Run, report: Report, message: str = "") -> None:
        run.ended_at = timezone.now()
        run.status, run.message = report.status, message
        for name in _COPIED:
            setattr(run, name, getattr(report, name))
        run.details = _details(report)
        self._on_run_ended(report, (run.ended_at - run.started_at).total_seconds())
        if report.status in SUCCESSFUL:
            self._access.granted()
        with ignore_database_errors("recording the run", when=self._has_redis):
            run.save()
            _delete_old_runs()
            if report.status == "refused":
                _forget_old_differences()

    def _end_without_success(
        self, run: Run, report: Report, client: AirtableClient, message: str
    ) -> None:
        report.airtable_requests, report.records = client.requests_made, run.records
        try:
            self.end(run, report, message)
        except DatabaseError as error:  # the caller raises the error that ended the run
            logger.warning("The run can't be recorded: %s", error)


def last_complete_run() -> Run | None:
    """The newest run that has read all records, without its details. Raises DatabaseError."""
    complete = Run.objects.exclude(status__in=[Run.Status.FAILED, Run.Status.RUNNING])
    return complete.exclude(records={}).defer("details").first()


def last_record_counts() -> dict[str, int]:
    """How many records each step of the last complete run had; empty if that is unknown."""
    try:
        return record_counts(last_complete_run())
    except DatabaseError:
        return {}


def record_counts(last: Run | None) -> dict[str, int]:
    """The same of this run."""
    if not last:
        return {}
    was_published = last.numbers and last.status != Run.Status.REFUSED
    published = {PUBLISHING: last.numbers} if was_published else {}
    return {**last.records, **published}


def _end_killed_runs() -> None:
    """The caller has the refresh lock: no other run is alive."""
    killed = Run.objects.filter(status=Run.Status.RUNNING)
    killed.update(status=Run.Status.FAILED, message="It was killed.", ended_at=timezone.now())


def _details(report: Report) -> dict[str, Any]:
    return {
        "differences": [each.to_json() for each in report.differences],
        "conflicts": [
            {"number": each.number, "records": list(each.records)}
            for each in report.conflicts[:DETAILS_KEPT]
        ],
        "invalid": [
            {"record": each.record, "reason": each.reason} for each in report.invalid[:DETAILS_KEPT]
        ],
        "warnings": report.warnings[:DETAILS_KEPT],
        "rule": [asdict(each) for each in report.rule],
        "reviewed": _reviewable(report),
    }


def _reviewable(report: Report) -> list[dict[str, str]]:
    """What a review of a rejected set is about. Empty if it was not read completely."""
    if report.status != "refused" or report.removed_digest is None:
        return []
    return [{"removed": f"{report.removed_digest:x}"}]


def was_reviewed(run_id: int, rejection: RefreshRejected, report: Report) -> bool:
    """Whether the same rule rejected that run with the same figures, and the same numbers would
    have been removed. Raises DatabaseError."""
    run = Run.objects.filter(pk=run_id, status=Run.Status.REFUSED).first()
    now = (str(rejection), _reviewable(report))
    return run is not None and bool(now[1]) and (run.message, run.details.get("reviewed")) == now


def _forget_old_differences() -> None:
    """A rejected refresh is repeated every three hours, and its differences may be large."""
    rejected = Run.objects.filter(status=Run.Status.REFUSED)
    for run in rejected[REJECTED_WITH_DIFFERENCES : REJECTED_WITH_DIFFERENCES + 1]:
        if run.details.get("differences"):
            run.details["differences"] = []
            run.save(update_fields=["details"])


def _delete_old_runs() -> None:
    old = Run.objects.filter(started_at__lt=timezone.now() - timedelta(days=DAYS_KEPT))
    pausing = {"status": Run.Status.ROLLED_BACK, "released_at": None}
    old.filter(snapshot=None).exclude(**pausing).delete()
