"""Which fields a table has. Airtable leaves empty cells out of its answers: without this list an
empty cell looks like a field that does not exist, and an agent would read `{{name}}` out."""

import logging
import time
from collections.abc import Mapping as AbstractMapping
from typing import Any, TypedDict, cast

from django.conf import settings

from airtable_sync.airtable import Airtable, Schema
from airtable_sync.airtable_errors import AirtableError
from airtable_sync.mapping import Mapping
from airtable_sync.store import Store, StoreUnavailable

logger = logging.getLogger(__name__)

NAME = "fields"
RENEWED_EVERY_SECONDS = 12 * 3600


class Remembered(TypedDict):
    tables: dict[str, list[str]]
    ids: dict[str, str]  # of tables, by name
    read_at: float  # when the schema was read, seconds since the epoch; 0 for never


NOTHING: Remembered = {"tables": {}, "ids": {}, "read_at": 0.0}
_here: Remembered = {**NOTHING}  # this process's copy, for when Redis is away


def known(store: Store) -> dict[str, list[str]]:
    """The fields of each table, as far as they are known."""
    return _recalled(store)["tables"]


def table_ids(store: Store) -> dict[str, str]:
    """The ids of the base's tables, by name, as of when the schema was read last."""
    return _recalled(store)["ids"]


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
    _remember(store, {"tables": schema.fields, "ids": schema.ids, "read_at": time.time()})
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
    except (StoreUnavailable, ValueError, RecursionError):  # away, or no JSON
        remembered = None
    if not _is_remembered(remembered):
        return {**_here, "read_at": 0.0}
    _here.update(cast("Remembered", remembered))
    return cast("Remembered", remembered)


def _is_remembered(value: Any) -> bool:
    """Whether this is the list in today's format, and not one of another version."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("read_at"), int | float)
        and isinstance(value.get("tables"), dict)
        and isinstance(value.get("ids"), dict)
        and all(isinstance(names, list) for names in value["tables"].values())
    )


def _remember(store: Store, fields: Remembered) -> None:
    _here.update(fields)
    if not settings.REDIS_URL:
        return
    try:
        store.remember(NAME, fields, None)
    except StoreUnavailable as error:
        logger.warning("The list of fields can't be kept: %s", error)
