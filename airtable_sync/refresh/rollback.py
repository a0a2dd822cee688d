"""Going back to an earlier good set. It is a publication like any other, stamped now, and it holds:
refreshes, changes and lookups leave it alone until it is released."""

from dataclasses import replace

from django.db.models import QuerySet
from django.utils import timezone

from airtable_sync.airtable.client import Airtable
from airtable_sync.cache import snapshots
from airtable_sync.cache.publish_target import Publication, PublishTarget
from airtable_sync.models import Run, Snapshot
from airtable_sync.monitoring.health_rules import HELD
from airtable_sync.refresh import history
from airtable_sync.refresh.lock import alone
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.validation import RefreshRejected


class NoSuchSet(Exception):
    """There is no such set to go back to; the message names those there are."""


def roll_back(run_id: int | None, by: str, user: str, airtable: Airtable) -> Report:
    """Publish the set of a run again; without one, the newest that says something else than what is
    published now. Raises NoSuchSet, CacheUnavailable, DatabaseError and RefreshInProgress."""
    with alone() as copy, history.recorded(by, user, airtable) as run:
        snapshot = _set_of(run_id)
        _release_runs()  # this one holds from now on
        copy.hold(run.pk)
        report = _publish(copy, snapshot, run)
        history.end(run, report, f"Rolled back to the set of run {snapshot.run_id}.")
    return report


def release(copy: PublishTarget) -> bool:
    """Let refreshes and changes go on. Whether there was anything to release."""
    was_held = copy.is_held()
    copy.release_hold()
    released = 0
    with history.forgiven():
        released = _release_runs()
    return was_held or released > 0


def _release_runs() -> int:
    return _holding().update(released_at=timezone.now())


def _holding() -> QuerySet[Run]:
    return Run.objects.filter(status=Run.Status.ROLLED_BACK, released_at=None)


def holding_run() -> Run | None:
    """The rollback that holds. Raises DatabaseError."""
    return _holding().first()


def refuse_if_held(copy: PublishTarget) -> None:
    """Raises RefreshRejected while a rollback holds. What it published is published again before: that
    keeps it fresh, and brings it back where Redis was emptied."""
    run = None
    with history.forgiven():
        run = holding_run()
    if run:
        copy.hold(run.pk)
        snapshot = snapshots.newest()
        if snapshot:
            _publish(copy, snapshot, snapshot.run)
    if run or copy.is_held():
        since = f" since {run.started_at:%Y-%m-%d %H:%M} UTC" if run else ""
        raise RefreshRejected(f"{HELD}{since}; refresh_airtable_cache --release ends it.")


def _publish(copy: PublishTarget, snapshot: Snapshot, run: Run) -> Report:
    read_at = copy.now()
    entries = [
        replace(entry, read_at=read_at, by="rollback") for entry in snapshots.entries_of(snapshot)
    ]
    report = Report("rolled-back")
    report.count(copy.publish(Publication(entries, read_at, "rollback")))
    with history.forgiven():
        snapshots.save(run, entries, read_at)
    return report


def _set_of(run_id: int | None) -> Snapshot:
    sets = list(snapshots.all_of_base().select_related("run"))
    if run_id is not None:
        chosen = [each for each in sets if each.run_id == run_id]
    else:
        chosen = [each for each in sets if each.digest != sets[0].digest]
    if not chosen:
        there = ", ".join(map(_described, sets)) or "none"
        raise NoSuchSet(f"There is no such set to go back to. Runs with a set: {there}.")
    return chosen[0]


def _described(snapshot: Snapshot) -> str:
    run = snapshot.run
    return f"{run.pk} ({snapshot.numbers} numbers, {run.started_at:%Y-%m-%d %H:%M} UTC)"
