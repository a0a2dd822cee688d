"""Drafts in the database. A draft's process says every second that it is alive."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from airtable_sync.airtable.base_reader import Progress
from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.database import close_connection
from airtable_sync.cache.snapshots import decompressed
from airtable_sync.mapping.source import MappingSource, SavedSource
from airtable_sync.mapping.versions import new_generation
from airtable_sync.models import MappingDraft

SILENT_SECONDS = 90.0  # then its process has ended: a request may take long, and wait for others
VALID_HOURS = 1.0  # then the base may have changed too much
DAYS_KEPT = 7
PROGRESS_SECONDS = 1.0
Status = MappingDraft.Status


def create(text: str, *, user: str, note: str, in_force: MappingSource) -> MappingDraft:
    """Raises DatabaseError."""
    now = timezone.now()
    MappingDraft.objects.filter(created_at__lt=now - timedelta(days=DAYS_KEPT)).delete()
    return MappingDraft.objects.create(
        generation=new_generation(),
        based_on=number_of(in_force),
        text=text,
        note=note[:300],
        user=user,
        created_at=now,
        active_at=now,
    )


def of_user(user: str) -> MappingDraft | None:
    """The newest one. Raises DatabaseError."""
    return MappingDraft.objects.filter(user=user).first()


def of_others(user: str) -> list[MappingDraft]:
    """Of the last day, without their content. Raises DatabaseError."""
    since = timezone.now() - timedelta(days=1)
    others = MappingDraft.objects.exclude(user=user).filter(created_at__gt=since)
    return list(others.defer("content", "text", "result")[:5])


def number_of(source: MappingSource) -> int:
    """The version's number; 0 for a file."""
    return source.number if isinstance(source, SavedSource) else 0


def source_of(draft: MappingDraft) -> SavedSource:
    return SavedSource(0, draft.generation, draft.text)


def change(draft: MappingDraft, **values: Any) -> bool:
    """Save these fields. False if the draft was discarded. Raises DatabaseError."""
    values["active_at"] = timezone.now()
    for name, value in values.items():
        setattr(draft, name, value)
    close_connection()  # reading takes long; the last connection may be broken
    return MappingDraft.objects.filter(pk=draft.pk).update(**values) > 0


def saved_progress(draft: MappingDraft) -> Progress:
    """Saves the progress once a second. Raises Discarded when somebody discarded the draft."""
    saved_at = 0.0

    def report(step: str, done: int) -> None:
        nonlocal saved_at
        draft.progress[step] = done
        if time.monotonic() - saved_at >= PROGRESS_SECONDS:
            saved_at = time.monotonic()
            if not change(draft, progress=draft.progress):
                raise Discarded("The draft was discarded.")

    return report


class Discarded(Exception):
    """Somebody discarded the draft while it was read."""


def is_working(draft: MappingDraft) -> bool:
    """Whether a process reads or publishes it."""
    is_silent = timezone.now() - draft.active_at > timedelta(seconds=SILENT_SECONDS)
    return draft.status in (Status.READING, Status.PUBLISHING) and not is_silent


def is_expired(draft: MappingDraft, now: Callable[[], float] = time.time) -> bool:
    """Whether it was read too long ago to be published."""
    return draft.read_at < (now() - VALID_HOURS * 3600) * 1000


def examples(draft: MappingDraft, count: int = 3) -> list[dict[str, Any]]:
    """The first configs of what was read, with their records."""
    found: list[dict[str, Any]] = []
    for entry in decompressed(draft.content) if draft.content else ():
        if len(found) == count:
            break
        if is_contact(entry.number):
            continue
        found.append(
            {
                "number": entry.number,
                "config": {**(entry.config or {}), **entry.settings},
                "records": list(entry.records),
            }
        )
    return found
