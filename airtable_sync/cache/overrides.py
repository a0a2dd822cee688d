"""Pins: an operator sets a number's variables by hand, with a reason and an end. The database holds
them; Redis and the replicas serve them as entries that nothing else replaces until they end."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import PATIENT, CacheUnavailable, Store, clock_now
from airtable_sync.cache.replica import Replica, of_this_process
from airtable_sync.models import Override
from airtable_sync.refresh import history


def active() -> list[Override]:
    """Raises DatabaseError."""
    return list(Override.objects.filter(ends_at__gt=timezone.now()))


def entry_of(pin: Override) -> Entry:
    return Entry(
        number=pin.number,
        config=pin.variables,
        read_at=_milliseconds(pin.made_at),
        by="pin",
        settings=pin.settings,
        records=tuple(pin.records),
        override_until=_milliseconds(pin.ends_at),
    )


def pin(
    before: Entry, variables: Mapping[str, str], why: tuple[str, datetime], user: str
) -> tuple[Override, bool]:
    """Override a number, of which `before` is cached, for a reason and until a moment. Whether all
    processes know it at once: those that can't, because Redis is away, when it is back. Raises
    DatabaseError."""
    reason, ends_at = why
    made_at = datetime.fromtimestamp(clock_now(PATIENT) / 1000, UTC)
    values: dict[str, Any] = {
        "variables": dict(variables),
        "settings": before.settings,
        "records": list(before.records),
        "reason": reason,
        "ends_at": ends_at,
        "made_at": made_at,
        "made_by": user,
    }
    made, _ = Override.objects.update_or_create(number=before.number, defaults=values)
    return made, _published(entry_of(made))


def end(number: str) -> None:
    """End a pin: what it said is out of date from now on, and gives way to any reading. Raises
    CacheUnavailable, and DatabaseError."""
    ended = Override.objects.filter(number=number).first()
    if ended is None:
        return
    if settings.REDIS_URL:
        now = PATIENT.now()
        over = Entry(number, ended.variables, now, "pin", ended.settings, override_until=now)
        PATIENT.write([over], announce_unchanged=True)
    ended.delete()


def drop(number: str) -> None:
    """Let the next call of a number ask Airtable. An entry that was merely gone would be given back
    by the replicas: this one says nothing, and is never fresh. Raises CacheUnavailable."""
    PATIENT.write(
        [Entry(number, None, PATIENT.now(), "pin", override_until=1)], announce_unchanged=True
    )


def restore(store: Store) -> None:
    """Give Redis the pins that it has lost. Raises CacheUnavailable."""
    entries: Sequence[Entry] = ()
    with history.forgiven():
        entries = [entry_of(each) for each in active()]
    if not entries or not settings.REDIS_URL:
        return
    there = {
        each.number: each.override_until for each in store.read_many(e.number for e in entries)
    }
    lost = [each for each in entries if there.get(each.number) != each.override_until]
    store.write(lost, announce_unchanged=True)


def keep(replica: Replica, pins: Iterable[Override]) -> None:
    """Let a replica serve these, where it starts from the database or follows it."""
    for each in pins:
        replica.keep(entry_of(each), saved=not settings.REDIS_URL)


def _published(entry: Entry) -> bool:
    saved = True
    if settings.REDIS_URL:
        try:
            PATIENT.write([entry], announce_unchanged=True)
        except CacheUnavailable:
            saved = False
    of_this_process().keep(entry, saved=saved)
    return saved and bool(settings.REDIS_URL)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
