"""Erases a number wherever Siftly keeps it: for who has the right to be forgotten."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings

from airtable_sync.cache import overrides, snapshots
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import PATIENT
from airtable_sync.models import Override, Run, Snapshot
from airtable_sync.monitoring.calls import answer_log, unknown_numbers
from airtable_sync.privacy import redaction


@dataclass(frozen=True)
class Place:
    """`count` says how often a number stands there, `erase` ends that. Both raise CacheUnavailable
    or DatabaseError."""

    name: str
    count: Callable[[str], int]
    erase: Callable[[str], object]


def places() -> list[Place]:
    database = [
        Place("pins", _pins, overrides.end),
        Place("past sets", _sets_with, snapshots.erase),
        Place("runs' details", _runs_with, _erase_in_runs),
        _mentioned("alerts", redaction.ALERTS),  # they copy what runs say
        _mentioned("reasons of pins", redaction.REASONS),
        _mentioned("admin's log", redaction.ADMINS_LOG),
        _mentioned("failed log-ins", redaction.LOGINS),
        Place("sessions", lambda number: len(redaction.sessions(number)), redaction.end_sessions),
    ]
    if not settings.REDIS_URL:
        return database
    return [
        database.pop(0),  # what is pinned stays cached
        Place("cached entries", _entries, _erase_entry),
        Place("answers", lambda number: len(_answers(number)), answer_log.erase),
        Place("unknown numbers", _unknown, unknown_numbers.erase),
        *database,
    ]


def _mentioned(name: str, fields: tuple[redaction.Fields, ...]) -> Place:
    return Place(name, partial(redaction.count, fields), partial(redaction.erase, fields))


def _pins(number: str) -> int:
    return Override.objects.filter(number=number).count()


def _entries(number: str) -> int:
    entry = PATIENT.read(number)
    return int(entry is not None and entry.known)


def _erase_entry(number: str) -> None:
    """Every process hears of an entry that says "unknown", and ends by itself; one that was merely
    gone would be given back. Stamped as a rollback's, for which a rollback lets it pass."""
    gone = Entry(number, None, PATIENT.now(), "rollback")
    PATIENT.write([gone], announce_unchanged=True)


def _answers(number: str) -> list[answer_log.LoggedAnswer]:
    return answer_log.search(number, limit=answer_log.KEPT)


def _unknown(number: str) -> int:
    return sum(each.number == number for each in unknown_numbers.called())


def _sets_with(number: str) -> int:
    return sum(
        any(entry.number == number for entry in snapshots.entries_of(each))
        for each in Snapshot.objects.iterator(chunk_size=1)
    )


def _runs_with(number: str) -> int:
    return sum(_without(run, number) for run in Run.objects.iterator(chunk_size=10))


def _erase_in_runs(number: str) -> None:
    for run in Run.objects.iterator(chunk_size=10):
        if _without(run, number):
            run.save(update_fields=["details", "sentence"])


def _without(run: Run, number: str) -> bool:
    """Take a number out of a run's details, in memory. Whether it was there."""
    before = (run.sentence, run.details)
    run.sentence = redaction.masked(run.sentence, number)
    run.details = {
        kind: redaction.masked([each for each in rows if not _is_about(each, number)], number)
        for kind, rows in run.details.items()
    }
    return before != (run.sentence, run.details)


def _is_about(row: Any, number: str) -> bool:
    if isinstance(row, str):
        return bool(redaction.pattern(number).search(row))
    named = row.get("number") == number
    return bool(named or redaction.pattern(number).search(row.get("reason", "")))
