"""The record of each run, in the database: kept for 90 days, or as long as it owns a kept set or
its rollback holds; and written while the run goes on."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.airtable import access
from airtable_sync.airtable.base_reader import PUBLISHING, Progress
from airtable_sync.airtable.client import Airtable
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache import database
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.mapping.schema import MappingError
from airtable_sync.models import Run
from airtable_sync.monitoring.metrics import refresh_results
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.validation import RefreshRejected

logger = logging.getLogger(__name__)

KEPT_DAYS = 90
DETAILS_KEPT = 1000  # of each kind; the counts are exact
PROGRESS_SECONDS = 1.0
COUNTS = ("numbers", "added", "changed", "removed", "unchanged", "airtable_requests")
COUNTED = ("numbers", "added", "changed", "removed", "airtable_requests")
COPIED = (*COUNTS, "records")
GOOD = ("published", "unchanged")


@contextmanager
def recorded(by: str, user: str, airtable: Airtable) -> Iterator[Run]:
    """A run's record, from its beginning on; how it ended well is said by `end`. Raises
    DatabaseError only where the database is the shared copy: a history that can't be kept is no
    reason not to refresh Redis."""
    run = Run(started_at=timezone.now(), by=by, user=user)
    with forgiven():
        _bury_the_killed()
        run.save()
    try:
        yield run
    except RefreshRejected as error:
        _end_badly(run, Report("refused"), airtable, str(error))
        raise
    except (AirtableError, CacheUnavailable, MappingError, DatabaseError) as error:
        _end_badly(run, Report("failed"), airtable, str(error))
        raise
    except KeyboardInterrupt:
        _end_badly(run, Report("failed"), airtable, "It was interrupted.")
        raise


def noting(run: Run, progress: Progress) -> Progress:
    """The same progress, noted in the record once a second for who is watching."""
    noted_at = 0.0

    def note(step: str, done: int) -> None:
        nonlocal noted_at
        progress(step, done)
        run.records[step] = done
        if run.pk and time.monotonic() - noted_at >= PROGRESS_SECONDS:
            noted_at = time.monotonic()
            with forgiven():
                run.save(update_fields=["records"])

    return note


def last_records() -> dict[str, int]:
    """How many records each step had the last time; nothing, if that is not known."""
    try:
        whole = Run.objects.exclude(status__in=[Run.Status.FAILED, Run.Status.RUNNING])
        last = whole.exclude(records={}).defer("details").first()
    except DatabaseError:
        return {}
    if not last:
        return {}
    published = {PUBLISHING: last.numbers} if last.numbers else {}
    return {**last.records, **published}


def end(run: Run, report: Report, sentence: str = "") -> None:
    """Raises DatabaseError as `recorded` does."""
    run.ended_at = timezone.now()
    run.status, run.sentence = report.status, sentence
    for name in COPIED:
        setattr(run, name, getattr(report, name))
    run.details = _details(report)
    _count(run, report)
    if report.status in GOOD:
        access.granted()
    with forgiven():
        run.save()
        _prune()


def _count(run: Run, report: Report) -> None:
    """For the metrics of all processes, this one too, which may end soon."""
    duration = (timezone.now() - run.started_at).total_seconds()
    figures = {name: getattr(report, name) for name in COUNTED}
    oddities = {"conflicts": len(report.conflicts), "invalid": len(report.invalid)}
    refresh_results.record(report.status, duration, **figures, **oddities)


def _end_badly(run: Run, report: Report, airtable: Airtable, sentence: str) -> None:
    report.airtable_requests, report.records = airtable.requests_made, run.records
    try:
        end(run, report, sentence)
    except DatabaseError as error:  # what ended the run is told, not this
        logger.warning("The run can't be recorded: %s", error)


def _bury_the_killed() -> None:
    """Whoever holds the lease is the only one that runs."""
    killed = Run.objects.filter(status=Run.Status.RUNNING)
    killed.update(status=Run.Status.FAILED, sentence="It was killed.", ended_at=timezone.now())


@contextmanager
def forgiven() -> Iterator[None]:
    """The database's failures, where Redis is the shared copy. What came since the last time may
    have cost the connection, so it is a new one."""
    database.release()
    try:
        yield
    except DatabaseError as error:
        if not settings.REDIS_URL:
            raise
        logger.warning("The run can't be recorded: %s", error)


def _details(report: Report) -> dict[str, Any]:
    return {
        "differences": [each.as_json() for each in report.differences[:DETAILS_KEPT]],
        "conflicts": [
            {"number": each.number, "records": list(each.records)}
            for each in report.conflicts[:DETAILS_KEPT]
        ],
        "invalid": [
            {"record": each.record, "reason": each.reason} for each in report.invalid[:DETAILS_KEPT]
        ],
        "warnings": report.warnings[:DETAILS_KEPT],
    }


def _prune() -> None:
    old = Run.objects.filter(started_at__lt=timezone.now() - timedelta(days=KEPT_DAYS))
    old.filter(snapshot=None).exclude(status=Run.Status.ROLLED_BACK, released_at=None).delete()
