"""The refresh: read the whole base, validate it, then publish it. If reading or validation fails,
nothing changes. Of two readings of a number the newer one wins, whichever write finishes last."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from airtable_sync.airtable.base_reader import PUBLISHING, Progress, Reading, read_all
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import TEMPORARY, AirtableError, Unavailable
from airtable_sync.cache.database import ignore_database_errors
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.lifetimes import TOMBSTONE_SECONDS
from airtable_sync.cache.overrides import Overrides
from airtable_sync.cache.publish_target import EntriesEvicted, Publication, PublishTarget
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.cache.snapshots import Snapshots
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.invalid_records import InvalidRecords
from airtable_sync.mapping.join import join
from airtable_sync.mapping.joined import Conflict, Joined
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.records import BaseTables
from airtable_sync.models import Run
from airtable_sync.refresh.history import RunHistory
from airtable_sync.refresh.lock import refresh_lock
from airtable_sync.refresh.other_deployments import OtherDeployments
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.rollback import Rollback
from airtable_sync.refresh.validation import (
    FieldsChangedWhileReading,
    RefreshRejected,
    Validation,
    reject_if_misfit,
    reject_missing,
)

logger = logging.getLogger(__name__)

PROGRESS_EVERY = 1000  # published numbers


@dataclass(frozen=True)
class RefreshOptions:
    force: bool = False  # publish without validation, and end a rollback's pause
    full: bool = False  # read everything, even if the change feed reports no changes
    dry_run: bool = False
    in_parallel: bool = False  # read all tables at once
    wait_for_others: bool = True  # for processes with another mapping, to end
    schema_is_current: bool = False  # the stored one, if it is not outdated: the feed keeps it so
    trigger: str = Run.Trigger.COMMAND
    user: str = ""


@dataclass(frozen=True)
class RefreshParts:
    """What a refresh works with. `confirm_unchanged` returns the count of numbers if the change
    feed confirms that nothing changed; None if everything has to be read. It raises
    CacheUnavailable."""

    target: PublishTarget
    active_mapping: ActiveMapping
    base_schema: BaseSchema
    invalid_records: InvalidRecords
    validation: Validation
    overrides: Overrides
    snapshots: Snapshots
    history: RunHistory
    rollback: Rollback
    other_deployments: OtherDeployments
    confirm_unchanged: Callable[[AirtableClient], int | None]
    has_redis: bool


def masked(conflict: Conflict) -> Conflict:
    """A contact's number is not for logs and pages. The records lead to it."""
    return replace(conflict, number=f"The number of a contact (…{conflict.number[-2:]})")


class Refresh:
    def __init__(self, parts: RefreshParts) -> None:
        self._parts = parts

    def run(self, client: AirtableClient, progress: Progress, options: RefreshOptions) -> Report:
        """Raises AirtableError, CacheUnavailable, MappingError and DatabaseError; RefreshRejected
        if validation fails or publishing is paused; RefreshInProgress."""
        if options.dry_run:
            return _Attempt(self._parts, client, progress, options).compare()
        history = self._parts.history
        with (
            refresh_lock(self._parts.target),
            history.record(options.trigger, options.user, client) as run,
        ):
            progress = history.with_saved_progress(run, progress)
            return _Attempt(self._parts, client, progress, options).publish(run)


@dataclass
class _Attempt:
    parts: RefreshParts
    client: AirtableClient
    progress: Progress
    options: RefreshOptions
    _schema: BaseTables | None = None
    _schema_is_denied: bool = False

    def compare(self) -> Report:
        started = time.monotonic()
        publication, report = self._read()
        report.count(self.parts.target.compare(publication))
        report.status = "dry-run"
        return self._completed(report, started)

    def publish(self, run: Run) -> Report:
        started = time.monotonic()
        parts, options = self.parts, self.options
        if options.force:
            parts.rollback.release()
        else:
            parts.other_deployments.reject_if_live(may_wait=options.wait_for_others)
        parts.overrides.restore_lost()
        parts.rollback.publish_snapshot_and_reject_if_paused()
        if not (options.force or options.full) and (report := self._confirm(started)):
            parts.history.end(run, report)
            return report
        publication, report = self._read()
        if parts.has_redis:
            parts.invalid_records.replace_all(report.invalid, publication.read_at)
        try:
            report.count(self._write(publication))
        except EntriesEvicted:  # Redis is too small, but the set is right
            self._save_snapshot(run, publication)
            raise
        self._save_snapshot(run, publication)
        changes = report.added + report.changed + report.removed + report.contacts_changed
        report.status = "published" if changes else "unchanged"
        self._completed(report, started)
        parts.history.end(run, report)
        return report

    def _confirm(self, started: float) -> Report | None:
        if self.parts.active_mapping.mapping.depends_on_the_clock():
            return None
        numbers = self.parts.confirm_unchanged(self.client)
        if numbers is None:
            return None
        return self._completed(Report("unchanged", numbers=numbers, unchanged=numbers), started)

    def _write(self, publication: Publication) -> Iterator[WriteResult]:
        self.progress(PUBLISHING, 0)
        for done, result in enumerate(self.parts.target.publish(publication), 1):
            if done % PROGRESS_EVERY == 0:
                self.progress(PUBLISHING, done)
            yield result
        self.progress(PUBLISHING, len(publication.entries))

    def _save_snapshot(self, run: Run, publication: Publication) -> None:
        with ignore_database_errors("saving the snapshot", when=self.parts.has_redis):
            self.parts.snapshots.save(run, publication.entries, publication.read_at)

    def _completed(self, report: Report, started: float) -> Report:
        report.airtable_requests = self.client.requests_made
        report.duration_seconds = time.monotonic() - started
        return report

    def _read(self) -> tuple[Publication, Report]:
        """Everything in Airtable, validated unless `force`."""
        started, read_at = time.monotonic(), self.parts.target.now()
        reading = self._read_base()
        if time.monotonic() - started > TOMBSTONE_SECONDS:
            raise Unavailable("Reading took so long that the first records may be outdated.")
        base = self._known_base(reading)
        mapping = self.parts.active_mapping.in_base(base)
        joined = join(mapping.of_numbers(), reading.tables, base)
        contacts = join(mapping.of_callers(), reading.tables, base)
        entries = self._served_entries(joined, read_at)
        if not self.options.force:
            self._validate(joined, len(entries), contacts)
        report = Report(
            "published",
            conflicts=[*joined.conflicts, *map(masked, contacts.conflicts)],
            invalid=joined.invalid,
            warnings=[*joined.all_warnings(), *contacts.all_warnings()],
            records=reading.record_counts(),
            contacts_skipped=contacts.skipped,
        )
        entries += [
            config.entry(key, read_at, "refresh") for key, config in contacts.configs.items()
        ]
        fingerprint = self.parts.active_mapping.fingerprint
        return Publication(entries, read_at, "refresh", fingerprint), report

    def _validate(self, joined: Joined, numbers: int, contacts: Joined) -> None:
        validation = self.parts.validation
        validation.check_numbers(joined, numbers, self._count_before())
        validation.check_contacts(len(contacts.configs), self.parts.target.count_contacts())

    def _read_base(self) -> Reading:
        """Reads a second time if a field was renamed during the first."""
        with suppress(FieldsChangedWhileReading):
            return self._read_base_once()
        try:
            return self._read_base_once()
        except FieldsChangedWhileReading as error:
            raise RefreshRejected(str(error)) from error

    def _read_base_once(self) -> Reading:
        """The schema, then all records. Raises FieldsChangedWhileReading."""
        mapping = self.parts.active_mapping.mapping
        tables = self._schema = self._read_schema_first()
        if tables and not self.options.force:
            reject_missing(mapping, tables)
        base = tables.known() if tables else self.parts.base_schema.known()
        mapping = self.parts.active_mapping.in_base(base)
        try:
            in_parallel = self.options.in_parallel
            reading = read_all(mapping, self.client, self.progress, in_parallel=in_parallel)
        except AirtableError as error:
            if not isinstance(error, TEMPORARY) and not self.options.force:
                reject_if_misfit(error, mapping, self.client)
            raise
        if not self.options.force:
            self.parts.validation.check_fields(mapping, reading, tables, self._read_schema)
        return reading

    def _read_schema_first(self) -> BaseTables | None:
        """None if it can't be read, or need not be: then the stored one counts."""
        if self.options.schema_is_current and not self.parts.base_schema.is_outdated():
            return None
        return self._read_schema()

    def _read_schema(self) -> BaseTables | None:
        """None if it can't be read; then it is not tried a second time."""
        if self._schema_is_denied:
            return None
        try:
            tables = self.client.read_tables()
        except AirtableError as error:
            logger.warning("The base's schema can't be read: %s", error)
            self._schema_is_denied = True
            return None
        if not self.options.dry_run:
            self.parts.base_schema.store_tables(tables)
        return tables

    def _known_base(self, reading: Reading) -> KnownBase:
        """Also the fields that only records have: without the schema they are all that is known."""
        if not self.options.dry_run:
            return self.parts.base_schema.add_seen_fields(reading.seen)
        known = self._schema.known() if self._schema else self.parts.base_schema.known()
        return known.with_fields(reading.seen)

    def _served_entries(self, joined: Joined, read_at: int) -> list[Entry]:
        return [
            config.entry(number, read_at, "refresh")
            for number, config in joined.configs.items()
            if self.parts.active_mapping.is_served(number)
        ]

    def _count_before(self) -> int:
        """The published numbers, at most those that are served at all."""
        count, served = (
            self.parts.target.count_published(),
            self.parts.active_mapping.served_numbers,
        )
        return count if served is None else min(count, len(served))
