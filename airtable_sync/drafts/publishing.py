"""Previews and publishes a draft. Until the last step, all processes use the mapping before: the
new set is written beside the old one, and putting the version in force is one change of the
database."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from airtable_sync.airtable.base_reader import PUBLISHING
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.limits.request_limits import REFRESH_LIMITS
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.publish_target import Publication
from airtable_sync.cache.snapshots import compressed, decompressed
from airtable_sync.cache.temporary_database import NoRoom, translated_errors
from airtable_sync.drafts import draft_store
from airtable_sync.drafts.draft_store import Status, source_of
from airtable_sync.mapping.schema import MappingError
from airtable_sync.mapping.source import MappingSource
from airtable_sync.mapping.versions import ChangedMeanwhile, require_unchanged
from airtable_sync.models import MappingDraft, MappingVersion, Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.lock import LOCK_SECONDS, RefreshInProgress, refresh_lock
from airtable_sync.refresh.refresh import ReadSet
from airtable_sync.refresh.report import Report
from airtable_sync.refresh.validation import RefreshRejected
from airtable_sync.services import Services

logger = logging.getLogger(__name__)

DIFFERENCES_KEPT = 200
LOCK_WAIT_SECONDS, LOCK_PAUSE_SECONDS = LOCK_SECONDS + 60.0, 0.5
WAITING = "Waiting for the end of a refresh"
FILE_WINS = (
    "AIRTABLE_MAPPING names a file, and the file wins: change that file. To save mappings in the "
    "database, remove the variable and restart."
)
NewServices = Callable[[MappingSource], Services]


class NotPublished(Exception):
    """The draft can't be previewed or published. The message says why, and what to do. Nothing
    changed."""


class DraftPublisher:
    """`used` is what this process serves with; `new_services` builds the same for another
    mapping."""

    def __init__(self, used: Services, new_services: NewServices) -> None:
        self._used = used
        self._new_services = new_services

    def preview(self, draft: MappingDraft) -> None:
        """Read the base with the draft, compare it with what is served, and save both with the
        draft. Raises NotPublished, which is saved too; DatabaseError."""
        new = self._new_services(source_of(draft))
        client = new.new_client(REFRESH_LIMITS)
        try:
            progress = draft_store.saved_progress(draft)
            found = new.refresh.read(client, progress, self._used.target)
            with translated_errors():
                _save(draft, found)
        except RefreshRejected as error:
            self._fail(draft, f"Siftly can't read the base with this mapping: {error}")
        except (AirtableError, CacheUnavailable, MappingError, NoRoom) as error:
            self._fail(draft, str(error))
        except draft_store.Discarded as error:
            raise NotPublished(str(error)) from error
        except BaseException:
            draft_store.change(draft, status=Status.FAILED, message="It was interrupted.")
            raise

    def publish(self, draft: MappingDraft, *, force: bool) -> MappingVersion:
        """Publish what was previewed, as a new version. Raises NotPublished, which is saved too;
        DatabaseError."""
        try:
            require_ready(draft, force=force)
            draft_store.change(draft, status=Status.PUBLISHING, message="")
            version = self._publish(draft, force=force)
        except (ChangedMeanwhile, NotPublished, RefreshRejected, RefreshInProgress) as error:
            self._not_published(draft, str(error))
        except (CacheUnavailable, NoRoom) as error:
            self._not_published(draft, f"Publishing failed, nothing changed: {error}")
        except draft_store.Discarded as error:
            raise NotPublished(str(error)) from error
        draft.delete()
        logger.info("%s of the mapping is in force", version)
        return version

    def _publish(self, draft: MappingDraft, *, force: bool) -> MappingVersion:
        new = self._new_services(source_of(draft))
        client = new.new_client(REFRESH_LIMITS)
        require_unchanged(MappingVersion.objects.first(), draft.based_on)
        with (
            _refresh_lock(new, draft),
            new.history.record(Run.Trigger.ADMIN, draft.user, client) as run,
            translated_errors(),
        ):
            if force:
                self._used.rollback.release()
            new.generations.begin()
            new.rollback.publish_snapshot_and_reject_if_paused()
            new.overrides.restore_lost()
            entries = EntrySet.of(decompressed(draft.content), draft.read_at, "refresh")
            progress = new.history.with_saved_progress(run, lambda *_: None)
            progress(PUBLISHING, 0)
            publication = Publication(entries, new.active_mapping.fingerprint)
            saved_progress = draft_store.saved_progress(draft)
            for done, _ in enumerate(new.target.publish(publication), 1):
                progress(PUBLISHING, done)
                saved_progress(PUBLISHING, done)
            new.snapshots.save(run, entries)
            version = _put_in_force(new, draft)
            new.history.end(run, _report(draft), f"Version {version.number} of the mapping.")
        self._announce(new)
        return version

    def _announce(self, new: Services) -> None:
        try:
            new.generations.announce()
        except CacheUnavailable as error:
            logger.warning("The processes notice the new mapping within half a minute: %s", error)

    def _fail(self, draft: MappingDraft, message: str) -> None:
        draft_store.change(draft, status=Status.FAILED, message=message)
        raise NotPublished(message)

    def _not_published(self, draft: MappingDraft, message: str) -> None:
        """It can be tried again."""
        status = Status.READY if draft.read_at else Status.FAILED
        draft_store.change(draft, status=status, message=message)
        raise NotPublished(message)


def require_ready(draft: MappingDraft, *, force: bool) -> None:
    """Raises NotPublished."""
    if draft.status not in (Status.READY, Status.PUBLISHING):
        raise NotPublished("There is no preview yet: press “Preview” first.")
    if draft_store.is_expired(draft):
        raise NotPublished("The preview is more than an hour old: press “Preview” again.")
    if draft.rejection and not force:
        raise NotPublished(f"The refresh's validation rejects it: {draft.rejection}")


@contextmanager
def _refresh_lock(new: Services, draft: MappingDraft) -> Iterator[None]:
    """Waits for the end of a refresh that is running, or of the lock of one that was killed. Raises
    RefreshInProgress and CacheUnavailable."""
    until = time.monotonic() + LOCK_WAIT_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(refresh_lock(new.target))
                break
            except RefreshInProgress:
                if time.monotonic() > until:
                    raise
            draft_store.change(draft, progress={WAITING: 0})
            time.sleep(LOCK_PAUSE_SECONDS)
        draft_store.change(draft, progress={})
        yield


def _put_in_force(new: Services, draft: MappingDraft) -> MappingVersion:
    """Raises RefreshRejected, which ends the run, and DatabaseError."""
    try:
        return new.mapping_versions.put_in_force(draft)
    except ChangedMeanwhile as error:
        raise RefreshRejected(str(error)) from error


def _save(draft: MappingDraft, found: ReadSet) -> None:
    report, entries = found.report, found.publication.entries
    result = {
        "numbers": report.numbers,
        "added": report.added,
        "changed": report.changed,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "differences": [each.to_json() for each in report.differences[:DIFFERENCES_KEPT]],
        "conflicts": len(report.conflicts),
        "invalid": [str(each) for each in report.invalid[:10]],
        "invalid_count": len(report.invalid),
        "warnings": report.warnings[:10],
        "records": report.records,
        "callers": len(entries.of_contacts()),
        "airtable_requests": report.airtable_requests,
        "duration_seconds": report.duration_seconds,
    }
    draft_store.change(
        draft,
        status=Status.READY,
        rejection=found.rejection,
        result=result,
        read_at=entries.read_at,
        content=bytes(compressed(entries)),
    )


def _report(draft: MappingDraft) -> Report:
    """Of the run that published it."""
    result = draft.result
    return Report(
        "published",
        numbers=result["numbers"],
        added=result["added"],
        changed=result["changed"],
        removed=result["removed"],
        unchanged=result["unchanged"],
        records=result["records"],
        airtable_requests=result["airtable_requests"],
        duration_seconds=result["duration_seconds"],
    )
