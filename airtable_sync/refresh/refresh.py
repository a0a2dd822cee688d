"""A refresh: the whole base is read first, then published. One that can't finish reading changes
nothing; of a number's readings the newer one stays, whoever writes last."""

import time
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings

from airtable_sync.airtable.base_reader import PUBLISHING, Progress, Reading, read_all
from airtable_sync.airtable.client import Airtable
from airtable_sync.airtable.errors import PASSING, AirtableError, Unavailable
from airtable_sync.cache import overrides, snapshots
from airtable_sync.cache.entry import TOMBSTONE_SECONDS, Entry
from airtable_sync.cache.publish_target import Publication, PublishTarget, publish_target
from airtable_sync.cache.redis_store import PATIENT, Written
from airtable_sync.changes import unchanged
from airtable_sync.lookup.airtable_lookup import served_numbers
from airtable_sync.mapping import base_schema, rejected_records
from airtable_sync.mapping.join import Joined, join
from airtable_sync.mapping.schema import Mapping, current
from airtable_sync.models import Run
from airtable_sync.refresh import history, rollback, validation
from airtable_sync.refresh.lock import alone
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.validation import FieldsChangedWhileReading, RefreshRejected

PROGRESS_EVERY = 1000  # numbers that are published


@dataclass(frozen=True)
class Options:
    force: bool = False
    full: bool = False
    dry_run: bool = False
    at_once: bool = False  # all tables side by side
    by: str = Run.By.COMMAND
    user: str = ""  # who pressed the button


def refresh(airtable: Airtable, progress: Progress, options: Options) -> Report:
    """Read all, then publish, one at a time. Raises AirtableError, CacheUnavailable, MappingError
    and DatabaseError, after which nothing is changed unless everything was read, RefreshRejected and RefreshInProgress.
    """
    if options.dry_run:
        return _Refresh(publish_target(), airtable, progress, options).dry_run()
    with alone() as copy, history.recorded(options.by, options.user, airtable) as run:
        progress = history.noting(run, progress)
        return _Refresh(copy, airtable, progress, options).publish(run)


@dataclass
class _Refresh:
    copy: PublishTarget
    airtable: Airtable
    progress: Progress
    options: Options

    def dry_run(self) -> Report:
        started = time.monotonic()
        publication, report = self._read()
        report.count(self.copy.compare(publication))
        report.status = "dry-run"
        return self._ended(report, started)

    def publish(self, run: Run) -> Report:
        started = time.monotonic()
        if self.options.force:
            rollback.release(self.copy)
        overrides.restore(PATIENT)
        rollback.refuse_if_held(self.copy)
        if not (self.options.force or self.options.full) and (report := self._confirmed(started)):
            history.end(run, report)
            return report
        publication, report = self._read()
        if settings.REDIS_URL:
            rejected_records.replace(PATIENT, report.invalid, publication.read_at)
        report.count(self._published(publication))
        with history.forgiven():
            snapshots.save(run, publication.entries, publication.read_at)
        changes = report.added + report.changed + report.removed
        report.status = "published" if changes else "unchanged"
        self._ended(report, started)
        history.end(run, report)
        return report

    def _confirmed(self, started: float) -> Report | None:
        numbers = unchanged.confirmed(PATIENT, self.airtable)
        if numbers is None:
            return None
        return self._ended(Report("unchanged", numbers=numbers, unchanged=numbers), started)

    def _published(self, publication: Publication) -> Iterator[Written]:
        self.progress(PUBLISHING, 0)
        for done, written in enumerate(self.copy.publish(publication), 1):
            if done % PROGRESS_EVERY == 0:
                self.progress(PUBLISHING, done)
            yield written
        self.progress(PUBLISHING, len(publication.entries))

    def _ended(self, report: Report, started: float) -> Report:
        report.airtable_requests = self.airtable.requests_made
        report.duration_seconds = time.monotonic() - started
        return report

    def _read(self) -> tuple[Publication, Report]:
        """Everything there is in Airtable; it has passed the gate."""
        started, mapping, read_at = time.monotonic(), current(), self.copy.now()
        reading = self._whole_reading(mapping)
        if time.monotonic() - started > TOMBSTONE_SECONDS:
            raise Unavailable("Airtable took so long that what was read first may be outdated.")
        joined = join(mapping, reading.tables, self._known_fields(reading))
        entries = _served(mapping, joined, read_at)
        if not self.options.force:
            validation.check_numbers(joined, len(entries), self._last_numbers(mapping))
        warnings = [each for config in joined.configs.values() for each in config.warnings]
        report = Report(
            "published",
            conflicts=joined.conflicts,
            invalid=joined.invalid,
            warnings=warnings,
            records=reading.counts(),
        )
        return Publication(entries, read_at, "refresh"), report

    def _whole_reading(self, mapping: Mapping) -> Reading:
        """A field that is renamed while its table is read makes it necessary to begin again."""
        with suppress(FieldsChangedWhileReading):
            return self._one_reading(mapping)
        try:
            return self._one_reading(mapping)
        except FieldsChangedWhileReading as error:
            raise RefreshRejected(f"{error}") from error

    def _one_reading(self, mapping: Mapping) -> Reading:
        """Raises FieldsChangedWhileReading."""
        try:
            at_once = self.options.at_once
            reading = read_all(mapping, self.airtable, self.progress, at_once=at_once)
        except AirtableError as error:
            if not isinstance(error, PASSING) and not self.options.force:
                validation.explain(error, mapping, self.airtable)
            raise
        if not self.options.force:
            validation.check_shape(mapping, reading, self.airtable)
        return reading

    def _known_fields(self, reading: Reading) -> AbstractMapping[str, list[str]]:
        if settings.REDIS_URL:
            if not self.options.dry_run:
                return base_schema.add(PATIENT, reading.seen)
            known = base_schema.known(PATIENT)
        else:  # nothing is remembered
            known = self.airtable.schema().fields
        return {table: [*known.get(table, ()), *names] for table, names in reading.seen.items()}

    def _last_numbers(self, mapping: Mapping) -> int:
        """What is served now, that is, of what shall be served at all."""
        last = self.copy.last_numbers()
        return min(last, len(served_numbers(mapping))) if settings.TO_NUMBERS else last


def _served(mapping: Mapping, joined: Joined, read_at: int) -> list[Entry]:
    served = served_numbers(mapping)
    return [
        config.entry(number, read_at, "refresh")
        for number, config in joined.configs.items()
        if not settings.TO_NUMBERS or number in served
    ]
