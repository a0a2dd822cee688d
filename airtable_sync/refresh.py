"""A refresh: the whole base is read first, then published. One that can't finish reading changes
nothing; of a number's readings the newer one stays, whoever writes last."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from django.conf import settings

from airtable_sync import fields
from airtable_sync.airtable import Airtable, Record
from airtable_sync.airtable_errors import Unavailable
from airtable_sync.entries import TOMBSTONE_SECONDS, Entry
from airtable_sync.join import Conflict, Invalid, Joined, join
from airtable_sync.lookup import served_numbers
from airtable_sync.mapping import Mapping, current
from airtable_sync.store import REFRESH_LEASE, Store, StoreUnavailable

LEASE_SECONDS = 60  # a killed refresh gives up within it

Status = Literal["published", "unchanged", "refused", "failed", "busy", "dry-run"]
Progress = Callable[[str, int], None]  # what is going on, and how many are done


class Busy(Exception):
    """Another refresh is running."""


class Refused(Exception):
    """What was read makes no sense as a whole; the last good set is kept."""


@dataclass
class Report:
    """What a refresh did."""

    status: Status
    numbers: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    invalid: list[Invalid] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    airtable_requests: int = 0
    duration_seconds: float = 0.0


def refresh(
    store: Store, airtable: Airtable, progress: Progress, *, force: bool, dry_run: bool
) -> Report:
    """Read all, then publish, one at a time. Raises AirtableError and StoreUnavailable, after which
    nothing is changed unless everything was read, and Refused and Busy."""
    token = secrets.token_hex(8)
    if not dry_run and not store.add(REFRESH_LEASE, token, LEASE_SECONDS):
        raise Busy("Another refresh is running, or was killed less than a minute ago.")

    if dry_run:
        return _refresh(store, airtable, progress, force=force, dry_run=True)
    with _holding(store, token):
        return _refresh(store, airtable, progress, force=force, dry_run=False)


@contextmanager
def _holding(store: Store, token: str) -> Iterator[None]:
    """Renew the lease while the work goes on, however long one page may take."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / 4):
            with suppress(StoreUnavailable):
                store.renew(REFRESH_LEASE, token, LEASE_SECONDS)

    thread = threading.Thread(target=renew, name="refresh-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        store.release(REFRESH_LEASE, token)


def _refresh(
    store: Store, airtable: Airtable, progress: Progress, *, force: bool, dry_run: bool
) -> Report:
    started = time.monotonic()
    mapping = current()
    asked_at = store.now()
    tables, seen = _read(mapping, airtable, progress)
    if time.monotonic() - started > TOMBSTONE_SECONDS:
        raise Unavailable("Airtable took so long that what was read first may be outdated.")
    known = fields.known(store) if dry_run else fields.add(store, seen)
    joined = join(mapping, tables, {table: [*known.get(table, ()), *seen[table]] for table in seen})
    entries = _served(mapping, joined, asked_at)
    if not entries and not force:
        raise Refused("no number in Airtable has a config. To publish that all the same: --force.")
    gone, ended = _gone(store, {entry.number for entry in entries})
    entries += [Entry(number, None, asked_at, "refresh") for number in gone]
    if dry_run:
        outcomes = _difference(store, entries)
    else:
        outcomes = _publish(store, entries, progress)
        store.completed(asked_at)
        outcomes.update(_remove_what_came_back(store, entries, asked_at))
        store.forget(ended)
    return _report(joined, outcomes, airtable, started, dry_run=dry_run)


def _read(
    mapping: Mapping, airtable: Airtable, progress: Progress
) -> tuple[dict[str, dict[str, Record]], dict[str, list[str]]]:
    """Every table once, with the fields its records were seen with."""
    tables: dict[str, dict[str, Record]] = {}
    seen: dict[str, list[str]] = {}
    for table in mapping.tables():
        records = tables[table] = {}
        names: dict[str, None] = {}
        for page in airtable.all(table, mapping.wanted_fields(table)):
            for record in page:
                records[record["id"]] = record
                names.update(dict.fromkeys(record["fields"]))
            progress(f"Reading {table}", len(records))
        seen[table] = list(names)
    return tables, seen


def _served(mapping: Mapping, joined: Joined, asked_at: int) -> list[Entry]:
    served = served_numbers(mapping)
    return [
        Entry(
            number,
            config.variables,
            asked_at,
            "refresh",
            config.settings,
            tuple(config.records),
            tuple(config.warnings),
        )
        for number, config in joined.configs.items()
        if not settings.TO_NUMBERS or number in served
    ]


def _gone(store: Store, numbers: set[str]) -> tuple[list[str], list[str]]:
    """The known numbers that Airtable no longer has, and those in the index whose entries have
    ended by themselves."""
    others = [number for number in store.numbers() if number not in numbers]
    existing = {entry.number: entry for entry in store.read_many(others)}
    gone = [entry.number for entry in existing.values() if entry.known]
    return gone, [number for number in others if number not in existing]


def _remove_what_came_back(store: Store, entries: list[Entry], asked_at: int) -> Counter[str]:
    """A replica may have given an emptied Redis back a number that Airtable no longer has, while
    this refresh read: from `completed` on, none does."""
    gone, _ = _gone(store, {entry.number for entry in entries})
    old = [each.number for each in store.read_many(gone) if each.asked_at < asked_at]
    removals = [Entry(number, None, asked_at, "refresh") for number in old]
    return Counter(store.write(removals, announce_unchanged=False).values())


def _publish(store: Store, entries: list[Entry], progress: Progress) -> Counter[str]:
    outcomes: Counter[str] = Counter(store.write(entries, announce_unchanged=False).values())
    progress("Publishing", len(entries))
    return outcomes


def _difference(store: Store, entries: list[Entry]) -> Counter[str]:
    """What publishing would do, by the rules of `publish.lua`, without doing it."""
    existing = {entry.number: entry for entry in store.read_many(e.number for e in entries)}
    outcomes: Counter[str] = Counter()
    for entry in entries:
        old = existing.get(entry.number)
        if old and old.asked_at > entry.asked_at:
            outcomes["older"] += 1
        elif not entry.known:
            outcomes["removed"] += 1
        elif not old or not old.known:
            outcomes["added"] += 1
        else:
            outcomes["unchanged" if old.digest() == entry.digest() else "changed"] += 1
    return outcomes


def _report(
    joined: Joined, outcomes: Counter[str], airtable: Airtable, started: float, *, dry_run: bool
) -> Report:
    changes = outcomes["added"] + outcomes["changed"] + outcomes["removed"]
    status: Status = "published" if changes else "unchanged"
    return Report(
        status="dry-run" if dry_run else status,
        numbers=sum(outcomes.values()) - outcomes["removed"],
        added=outcomes["added"],
        changed=outcomes["changed"],
        removed=outcomes["removed"],
        unchanged=outcomes["unchanged"] + outcomes["older"],
        conflicts=joined.conflicts,
        invalid=joined.invalid,
        warnings=[each for config in joined.configs.values() for each in config.warnings],
        airtable_requests=airtable.requests_made,
        duration_seconds=time.monotonic() - started,
    )
