"""The refresh: read the whole base, validate it, then publish it. If reading or validation fails,
nothing changes. Of two readings of a number the newer one wins, whichever write finishes last."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from airtable_sync.airtable.base_reader import PUBLISHING, Progress
from airtable_sync.airtable.client import AirtableClient
from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.database import ignore_database_errors
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.overrides import Overrides
from airtable_sync.cache.publish_target import EntriesEvicted, Publication, PublishTarget
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.cache.snapshots import Snapshots
from airtable_sync.cache.temporary_database import translated_errors
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.mapping.invalid_records import InvalidRecords
from airtable_sync.mapping.join import Join
from airtable_sync.mapping.joined import Conflict, Findings
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.schema import Mapping
from airtable_sync.mapping.stored_records import StoredRecords
from airtable_sync.models import Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.history import RunHistory, was_reviewed
from airtable_sync.refresh.lock import refresh_lock
from airtable_sync.refresh.other_deployments import OtherDeployments
from airtable_sync.refresh.report import DIFFERENT, Report
from airtable_sync.refresh.rollback import Rollback
from airtable_sync.refresh.tombstones import TombstoneKeeper
from airtable_sync.refresh.validation import RefreshRejected, Validation
from airtable_sync.refresh.whole_base import ReadOptions, WholeBase

PROGRESS_EVERY = 1000  # published numbers


@dataclass(frozen=True)
class RefreshOptions:
    force: bool = False  # publish without validation, and end a rollback's pause
    full: bool = False  # read everything, even if the change feed reports no changes
    dry_run: bool = False
    reviewed: int | None = None  # publish what this rejected run would have published
    in_parallel: bool = False  # read all tables at once
    wait_for_others: bool = True  # for processes with another mapping, to end
    schema_is_current: bool = False  # the stored one, if it is not outdated: the feed keeps it so
    trigger: str = Run.Trigger.COMMAND
    user: str = ""


OF_CHANGE_FEED = RefreshOptions(
    full=True,
    in_parallel=True,
    wait_for_others=False,
    schema_is_current=True,
    trigger=Run.Trigger.CHANGE_FEED,
)


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
    remove_unused_sets: Callable[[], None]
    has_redis: bool


def masked(conflict: Conflict) -> Conflict:
    """A contact's number is not for logs and pages. The records lead to it."""
    return replace(conflict, number=f"The number of a contact (…{conflict.number[-2:]})")


@dataclass(frozen=True)
class ReadSet:
    """Everything in Airtable as a set, not published. `rejection` is why validation rejects it; ""
    if it does not."""

    publication: Publication
    report: Report
    rejection: str


class Refresh:
    def __init__(self, parts: RefreshParts) -> None:
        self._parts = parts

    def read(self, client: AirtableClient, progress: Progress, served: PublishTarget) -> ReadSet:
        """Read the whole base, and compare it with what `served` has published. Raises
        AirtableError, CacheUnavailable and MappingError; RefreshRejected if the mapping does not
        fit the base."""
        started = time.monotonic()
        options = RefreshOptions(full=True)
        attempt = _Attempt(self._parts, client, progress, options, compared_with=served)
        with translated_errors():
            publication, report, rejection = attempt.read()
            report.count(served.compare(publication))
        report.airtable_requests = client.requests_made
        report.duration_seconds = time.monotonic() - started
        return ReadSet(publication, report, str(rejection or ""))

    def run(self, client: AirtableClient, progress: Progress, options: RefreshOptions) -> Report:
        """Raises AirtableError, CacheUnavailable, MappingError and DatabaseError; RefreshRejected
        if validation fails or publishing is paused; RefreshInProgress."""
        if options.dry_run:
            with translated_errors():
                return _Attempt(self._parts, client, progress, options).compare()
        history = self._parts.history
        with (
            refresh_lock(self._parts.target) as tombstones,
            history.record(options.trigger, options.user, client) as run,
            translated_errors(),
        ):
            progress = history.with_saved_progress(run, progress)
            return _Attempt(self._parts, client, progress, options).publish(run, tombstones)


@dataclass
class _Attempt:
    parts: RefreshParts
    client: AirtableClient
    progress: Progress
    options: RefreshOptions
    compared_with: PublishTarget | None = None  # another mapping's set, which is served now

    def compare(self) -> Report:
        started = time.monotonic()
        publication, report, rejection = self.read()
        if rejection:
            raise self._with_report(rejection, publication, report, started)
        report.count(self.parts.target.compare(publication))
        report.status = "dry-run"
        return self._completed(report, started)

    def publish(self, run: Run, tombstones: TombstoneKeeper) -> Report:
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
        publication, report, rejection = self.read()
        if rejection:
            self._require_review(self._with_report(rejection, publication, report, started))
        if parts.has_redis:
            parts.invalid_records.replace_all(report.invalid, publication.read_at)
        try:
            tombstones.compare_clocks()
            publication = replace(publication, require_valid=tombstones.require)
            report.count(self._write(publication))
        except EntriesEvicted:  # Redis is too small, but the set is right
            self._save_snapshot(run, publication)
            raise
        self._save_snapshot(run, publication)
        changes = report.added + report.changed + report.removed + report.contacts_changed
        report.status = "published" if changes else "unchanged"
        self._completed(report, started)
        parts.history.end(run, report)
        parts.remove_unused_sets()
        return report

    def _with_report(
        self, rejection: RefreshRejected, publication: Publication, report: Report, started: float
    ) -> RefreshRejected:
        """The rejection with what the set would change: an operator decides about that."""
        found = replace(report, status="refused", differences=[], rule=rejection.rule)
        with suppress(CacheUnavailable):  # why it was rejected matters more
            found.count(self.parts.target.compare(publication))
            found.differences.sort(key=lambda each: DIFFERENT.index(each.kind))
            rejection.report = self._completed(found, started)
        return rejection

    def _require_review(self, rejection: RefreshRejected) -> None:
        """Raises the rejection, unless an operator has seen the same one."""
        reviewed = self.options.reviewed
        if reviewed is None or rejection.report is None:
            raise rejection
        if was_reviewed(reviewed, rejection, rejection.report):
            return
        changed = RefreshRejected(
            f"{rejection} Airtable has changed since run {reviewed} was reviewed: review this run."
        )
        changed.rule, changed.report = rejection.rule, rejection.report
        raise changed from rejection

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
            self.parts.snapshots.save(run, publication.entries)

    def _completed(self, report: Report, started: float) -> Report:
        report.airtable_requests = self.client.requests_made
        report.duration_seconds = time.monotonic() - started
        return report

    def read(self) -> tuple[Publication, Report, RefreshRejected | None]:
        """Everything in Airtable, and why it may not be published, if so (never with `force`)."""
        read_at = self.parts.target.now()
        whole_base = self._whole_base()
        records, base = whole_base.read()
        with closing(records):
            entries = EntrySet.of((), read_at, "refresh")
            mapping = self.parts.active_mapping.in_base(base)
            numbers = self._join(mapping.of_numbers(), records, base, entries)
            contacts = self._join(mapping.of_callers(), records, base, entries)
            counts = records.counts()
        rejection = whole_base.rejection
        if not self.options.force and not rejection:
            rejection = self._rejection(numbers, len(entries.of_numbers()), contacts)
        report = Report(
            "published",
            conflicts=[*numbers.conflicts, *map(masked, contacts.conflicts)],
            invalid=numbers.invalid,
            warnings=[*numbers.warnings, *contacts.warnings],
            records=counts,
            contacts_skipped=contacts.skipped,
        )
        publication = Publication(entries, self.parts.active_mapping.fingerprint)
        return publication, report, rejection

    def _whole_base(self) -> WholeBase:
        parts, options = self.parts, self.options
        return WholeBase(
            parts.active_mapping,
            parts.base_schema,
            parts.validation,
            self.client,
            self.progress,
            ReadOptions(
                validate=not options.force,
                in_parallel=options.in_parallel,
                schema_is_current=options.schema_is_current,
                may_store=not options.dry_run,
            ),
        )

    def _join(
        self, mapping: Mapping, records: StoredRecords, base: KnownBase, entries: EntrySet
    ) -> Findings:
        """Adds an entry for each config whose number is served."""
        join = Join(mapping, records, base, records.called_numbers(mapping))
        is_served = self.parts.active_mapping.is_served
        entries.add(
            config.entry(number, entries.read_at, entries.origin)
            for number, config in join.configs()
            if is_contact(number) or is_served(number)
        )
        return join.findings

    def _rejection(
        self, numbers: Findings, served: int, contacts: Findings
    ) -> RefreshRejected | None:
        validation, before = self.parts.validation, self.compared_with or self.parts.target
        try:
            validation.check_numbers(len(numbers.conflicts), served, self._count_before(before))
            validation.check_contacts(contacts.configs, before.count_contacts())
        except RefreshRejected as error:
            return error
        return None

    def _count_before(self, before: PublishTarget) -> int:
        """The published numbers, at most those that are served at all."""
        count, served = before.count_published(), self.parts.active_mapping.served_numbers
        return count if served is None else min(count, len(served))
