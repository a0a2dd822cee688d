"""Erases a called number, or a contact's, from everything that Siftly keeps, for the right to be
forgotten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from airtable_sync.cache.contacts import number_of
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.overrides import Overrides
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.snapshots import Snapshots, decompressed, entries_of
from airtable_sync.models import MappingDraft, Override, Run, Snapshot
from airtable_sync.monitoring.calls.answer_log import ANSWERS_KEPT, AnswerFilter, AnswerLog
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumbers
from airtable_sync.privacy import redaction

Sets = Callable[[], Sequence[Sequence[RedisStore]]]


@dataclass(frozen=True)
class Place:
    """`count` returns how often a number is there, `erase` removes it. Both raise CacheUnavailable
    or DatabaseError."""

    name: str
    count: Callable[[str], int]
    erase: Callable[[str], object]


def places(
    store: RedisStore,
    sets: Sets,
    overrides: Overrides,
    snapshots: Snapshots,
    *,
    has_redis: bool,
) -> list[Place]:
    """In the order in which they have to be erased. `sets` returns the stores of called numbers and
    of contacts, for each mapping whose set is in Redis."""
    # An override would keep its cache entry.
    first = Place("overrides", _count_overrides, overrides.end)
    in_database = [
        Place("snapshots", _count_snapshots, snapshots.erase),
        Place("runs' details", _count_runs, _erase_in_runs),
        Place("mappings' drafts", _count_drafts, _erase_drafts),
        _place_in_texts("alerts", redaction.ALERTS),  # they quote runs
        _place_in_texts("override reasons", redaction.REASONS),
        _place_in_texts("admin log", redaction.ADMIN_LOG),
        _place_in_texts("failed logins", redaction.FAILED_LOGINS),
        Place("sessions", redaction.count_sessions, redaction.end_sessions),
    ]
    if not has_redis:
        return [first, *in_database]
    answer_log, unknown = AnswerLog(store), UnknownNumbers(store)
    in_redis = [
        Place("cache entries", partial(_count_entries, sets), partial(_erase_entries, sets)),
        Place("contacts", partial(_count_contacts, sets), partial(_erase_contacts, sets)),
        Place(
            "answer log",
            lambda number: len(answer_log.search(AnswerFilter(number), ANSWERS_KEPT)),
            answer_log.erase,
        ),
        Place("unknown numbers", partial(_count_unknown, unknown), unknown.erase),
    ]
    return [first, *in_redis, *in_database]


def _place_in_texts(name: str, fields: tuple[redaction.TextFields, ...]) -> Place:
    return Place(name, partial(redaction.count, fields), partial(redaction.erase, fields))


def _count_overrides(number: str) -> int:
    return Override.objects.filter(number=number).count()


def _count_entries(sets: Sets, number: str) -> int:
    entries = [numbers.read(number) for numbers, _ in sets()]
    return sum(entry is not None and entry.is_known for entry in entries)


def _erase_entries(sets: Sets, number: str) -> None:
    """Also in the sets of other mappings, if they have it."""
    first, *others = sets()
    for numbers in [first[0], *(each[0] for each in others if each[0].read(number))]:
        _erase_entry(numbers, number)


def _erase_entry(store: RedisStore, number: str) -> None:
    """Replicas would write a deleted entry back. So this writes an "unknown" entry, which all
    processes take and which expires by itself. With the origin "rollback" it is accepted also while
    publishing is paused."""
    erased = Entry(number, None, store.now(), "rollback")
    store.write([erased], announce_unchanged=True)


def _contact_keys(contacts: RedisStore, number: str) -> list[str]:
    return [key for key in contacts.indexed_numbers() if number_of(key) == number]


def _count_contacts(sets: Sets, number: str) -> int:
    return sum(
        entry.is_known
        for _, contacts in sets()
        for entry in contacts.read_many(_contact_keys(contacts, number))
    )


def _erase_contacts(sets: Sets, number: str) -> None:
    for _, contacts in sets():
        for key in _contact_keys(contacts, number):
            _erase_entry(contacts, key)


def _drafts(number: str) -> list[int]:
    return [
        draft.pk
        for draft in MappingDraft.objects.exclude(content=b"").iterator(chunk_size=1)
        if any(number_of(each.number) == number for each in decompressed(draft.content))
    ]


def _count_drafts(number: str) -> int:
    return len(_drafts(number))


def _erase_drafts(number: str) -> None:
    """Their authors have to preview again."""
    MappingDraft.objects.filter(pk__in=_drafts(number)).delete()


def _count_unknown(unknown: UnknownNumbers, number: str) -> int:
    return sum(each.number == number for each in unknown.called())


def _count_snapshots(number: str) -> int:
    return sum(
        any(number_of(entry.number) == number for entry in entries_of(each))
        for each in Snapshot.objects.iterator(chunk_size=1)
    )


def _count_runs(number: str) -> int:
    return sum(_redact_run(run, number) for run in Run.objects.iterator(chunk_size=10))


def _erase_in_runs(number: str) -> None:
    for run in Run.objects.iterator(chunk_size=10):
        if _redact_run(run, number):
            run.save(update_fields=["details", "message"])


def _redact_run(run: Run, number: str) -> bool:
    """Remove a number from a run's texts, in memory. Returns whether it was there."""
    before = (run.message, run.details)
    run.message = redaction.redact(run.message, number)
    run.details = {
        kind: redaction.redact([row for row in rows if not _is_about(row, number)], number)
        for kind, rows in run.details.items()
    }
    return before != (run.message, run.details)


def _is_about(row: Any, number: str) -> bool:
    if isinstance(row, str):
        return bool(redaction.pattern(number).search(row))
    if row.get("number") == number:
        return True
    return bool(redaction.pattern(number).search(row.get("reason", "")))
