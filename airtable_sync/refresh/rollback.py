"""Rollback: publish an earlier snapshot again, and pause publishing until an operator releases
it."""

from django.db.models import QuerySet
from django.utils import timezone

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.cache.database import ignore_database_errors
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.publish_target import Publication, PublishTarget
from airtable_sync.cache.snapshots import Snapshots, entries_of
from airtable_sync.cache.temporary_database import translated_errors
from airtable_sync.models import Run, Snapshot
from airtable_sync.refresh.history import RunHistory
from airtable_sync.refresh.lock import refresh_lock
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.validation import RefreshRejected

PAUSED_MESSAGE = "publishing is paused by a rollback"  # in the message of a rejected refresh


class NoSuchSnapshot(Exception):
    """There is no such snapshot to roll back to. The message names those that exist."""


class Rollback:
    def __init__(
        self, target: PublishTarget, snapshots: Snapshots, history: RunHistory, *, has_redis: bool
    ) -> None:
        self._target = target
        self._snapshots = snapshots
        self._history = history
        self._has_redis = has_redis

    def roll_back(
        self, run_id: int | None, trigger: str, user: str, client: AirtableClient
    ) -> Report:
        """Publish the snapshot of a run; without `run_id`, the newest that differs from the
        published one. Raises NoSuchSnapshot, CacheUnavailable, DatabaseError and
        RefreshInProgress."""
        with refresh_lock(self._target):
            snapshot = self._find(run_id)  # a mistyped id is no run
            with self._history.record(trigger, user, client) as run, translated_errors():
                entries = self._entries(snapshot)
                _release_runs()  # this run pauses publishing instead
                self._target.pause(run.pk)
                report = self._publish(entries, run)
                message = f"Rolled back to the snapshot of run {snapshot.run_id}."
                self._history.end(run, report, message)
        return report

    def is_paused(self) -> bool:
        """Whether there is a rollback to release. Raises CacheUnavailable."""
        run = None
        with ignore_database_errors("reading the pause", when=self._has_redis):
            run = pausing_run()
        return run is not None or self._target.is_paused()

    def release(self) -> bool:
        """Let refreshes and changes publish again. Returns whether publishing was paused."""
        was_paused = self._target.is_paused()
        self._target.resume()
        released = 0
        with ignore_database_errors("releasing a rollback", when=self._has_redis):
            released = _release_runs()
        return was_paused or released > 0

    def publish_snapshot_and_reject_if_paused(self) -> None:
        """Raises RefreshRejected. Before that, publishes the rollback's snapshot again: it stays
        fresh, and an emptied Redis gets it back."""
        run = None
        with ignore_database_errors("reading the pause", when=self._has_redis):
            run = pausing_run()
        if run:
            self._target.pause(run.pk)
            if snapshot := self._snapshots.newest():
                self._publish(self._entries(snapshot), snapshot.run)
        if run or self._target.is_paused():
            since = f" since {run.started_at:%Y-%m-%d %H:%M} UTC" if run else ""
            raise RefreshRejected(
                f"{PAUSED_MESSAGE}{since}; refresh_airtable_cache --release ends it."
            )

    def _entries(self, snapshot: Snapshot) -> EntrySet:
        return EntrySet.of(entries_of(snapshot), self._target.now(), "rollback")

    def _publish(self, entries: EntrySet, run: Run) -> Report:
        report = Report("rolled-back")
        report.count(self._target.publish(Publication(entries)))
        with ignore_database_errors("saving the snapshot", when=self._has_redis):
            self._snapshots.save(run, entries)
        return report

    def _find(self, run_id: int | None) -> Snapshot:
        snapshots = list(self._snapshots.all().select_related("run"))
        if run_id is not None:
            found = [each for each in snapshots if each.run_id == run_id]
        else:
            found = [each for each in snapshots if each.digest != snapshots[0].digest]
        if not found:
            existing = ", ".join(map(_description, snapshots)) or "none"
            raise NoSuchSnapshot(f"There is no such snapshot. Runs with a snapshot: {existing}.")
        return found[0]


def pausing_run() -> Run | None:
    """The rollback that pauses publishing. Raises DatabaseError."""
    return _pausing_runs().first()


def _pausing_runs() -> QuerySet[Run]:
    return Run.objects.filter(status=Run.Status.ROLLED_BACK, released_at=None)


def _release_runs() -> int:
    return _pausing_runs().update(released_at=timezone.now())


def _description(snapshot: Snapshot) -> str:
    run = snapshot.run
    return f"{run.pk} ({snapshot.numbers} numbers, {run.started_at:%Y-%m-%d %H:%M} UTC)"
