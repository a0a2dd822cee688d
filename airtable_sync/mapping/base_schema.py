"""Which fields a table has. Airtable leaves empty cells out of its answers: without this list an
empty cell looks like a field that does not exist, and an agent would read `{{name}}` out."""

import logging
import time
from collections.abc import Mapping as AbstractMapping
from collections.abc import Set as AbstractSet
from typing import Any, TypedDict, cast

from django.conf import settings

from airtable_sync.airtable.client import Airtable, Schema
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.redis_store import CacheUnavailable, Store
from airtable_sync.mapping.schema import Mapping

logger = logging.getLogger(__name__)

NAME = "fields"
RENEWED_EVERY_SECONDS = 12 * 3600


class Remembered(TypedDict):
    tables: dict[str, list[str]]
    ids: dict[str, str]  # of tables, by name
    names: dict[str, dict[str, str]]  # of fields, by their table's and their own id
    read_at: float  # when the schema was read, seconds since the epoch; 0 for never, or outdated


# By their table's and their own id, the names of fields now; None for one that is gone.
Changed = AbstractMapping[str, AbstractMapping[str, str | None]]
NOTHING: Remembered = {"tables": {}, "ids": {}, "names": {}, "read_at": 0.0}
_here: Remembered = {**NOTHING}  # this process's copy, for when Redis is away


def known(store: Store) -> dict[str, list[str]]:
    """The fields of each table, as far as they are known."""
    return _recalled(store)["tables"]


def table_ids(store: Store) -> dict[str, str]:
    """The ids of the base's tables, by name, as of when the schema was read last."""
    return _recalled(store)["ids"]


def names(store: Store) -> dict[str, dict[str, str]]:
    """The names of fields, by their table's and their own id, as far as they are known."""
    return _recalled(store)["names"]


def is_outdated(store: Store) -> bool:
    """Whether the schema was never read, or changes may have been missed since."""
    return not _recalled(store)["read_at"]


def reshape(store: Store, changed: Changed, old: AbstractSet[str]) -> bool:
    """Take what the change feed says of fields; `old` are those that were there before. False, and
    nothing, if one of these is not known: then the schema has to be read."""
    remembered = _recalled(store)
    if not old <= {id_ for table in remembered["names"].values() for id_ in table}:
        return False
    tables, of_fields = dict(remembered["tables"]), dict(remembered["names"])
    for name, table in remembered["ids"].items():
        before, now = of_fields.get(table, {}), changed.get(table, {})
        of_fields[table] = {id_: each for id_, each in {**before, **now}.items() if each}
        there = list(of_fields[table].values())
        gone = {before[id_] for id_ in now if id_ in before}.difference(there)
        listed = dict.fromkeys([*tables.get(name, ()), *there])
        tables[name] = [each for each in listed if each not in gone]
    _remember(store, {**remembered, "tables": tables, "names": of_fields})
    return True


def outdate(store: Store) -> None:
    """A change may have been missed."""
    _remember(store, {**_recalled(store), "read_at": 0.0})


def add(store: Store, seen: AbstractMapping[str, list[str]]) -> dict[str, list[str]]:
    """Add fields that records were seen with; return all that are known now."""
    remembered = _recalled(store)
    tables = remembered["tables"]
    merged = {
        table: list(dict.fromkeys([*tables.get(table, ()), *seen.get(table, ())]))
        for table in {**tables, **seen}
    }
    if merged != tables:
        _remember(store, {**remembered, "tables": merged})
    return merged


def missing(mapping: Mapping, schema: Schema) -> list[str]:
    """What the mapping names and the base does not have, a clause each."""
    clauses = [f"there is no table {t}" for t in mapping.tables() if t not in schema.fields]
    clauses += [
        f"{table} has no field {name}"
        for table in mapping.tables()
        for name in mapping.named_fields(table)
        if name not in schema.fields.get(table, [name])
    ]
    return list(dict.fromkeys(clauses))


def renew(store: Store, airtable: Airtable) -> Schema:
    """Read the base's schema and remember it. Raises AirtableError."""
    schema = airtable.schema()
    now = time.time()
    said = Remembered(tables=schema.fields, ids=schema.ids, names=schema.names, read_at=now)
    _remember(store, said)
    return schema


def renew_if_old(store: Store, airtable: Airtable) -> bool:
    """Renew the list once in half a day, for all processes together. Whether it is known now."""
    if time.time() - _recalled(store)["read_at"] < RENEWED_EVERY_SECONDS:
        return True
    try:
        renew(store, airtable)
    except AirtableError as error:
        logger.warning("The base's schema can't be read: %s", error)
        return False
    return True


def _recalled(store: Store) -> Remembered:
    try:
        remembered = store.recall(NAME)
    except (CacheUnavailable, ValueError, RecursionError):  # away, or no JSON
        remembered = None
    if not _is_remembered(remembered):
        return {**_here, "read_at": 0.0}
    found = cast("Remembered", {**NOTHING, **remembered})
    _here.update(found)
    return found


def _is_remembered(value: Any) -> bool:
    """Whether this is the list in today's format, and not one of another version."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("read_at"), int | float)
        and isinstance(value.get("tables"), dict)
        and isinstance(value.get("ids"), dict)
        and isinstance(value.get("names", {}), dict)
        and all(isinstance(names, list) for names in value["tables"].values())
    )


def _remember(store: Store, fields: Remembered) -> None:
    _here.update(fields)
    if not settings.REDIS_URL:
        return
    try:
        store.remember(NAME, fields, None)
    except CacheUnavailable as error:
        logger.warning("The list of fields can't be kept: %s", error)
