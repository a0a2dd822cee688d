"""The fields of the base's tables. Airtable leaves empty cells out of its answers: without this
list an empty cell looks like a missing field, and the agent would read `{{name}}` out."""

import logging
import time
from collections.abc import Callable
from collections.abc import Mapping as AbstractMapping
from collections.abc import Set as AbstractSet
from typing import cast

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.mapping.known_base import KnownBase
from airtable_sync.mapping.records import BaseTables
from airtable_sync.mapping.stored_schema import (
    StoredSchema,
    empty_schema,
    is_valid,
    known_base,
    stored_now,
)
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

KEY = "base_schema"
RENEW_SECONDS = 12 * 3600

# Table id -> field id -> the field's name now; None for a deleted field.
ChangedFields = AbstractMapping[str, AbstractMapping[str, str | None]]


class BaseSchema:
    """Stored in Redis for all processes, with a copy in this one for when Redis is down."""

    def __init__(
        self, store: RedisStore, *, has_redis: bool, copy: StoredSchema | None = None
    ) -> None:
        self._store = store
        self._has_redis = has_redis
        self._copy = empty_schema() if copy is None else copy

    def through(self, store: RedisStore) -> "BaseSchema":
        """The same schema through a store with other time limits. Both have one copy, so that
        neither overwrites Redis with an older one."""
        return BaseSchema(store, has_redis=self._has_redis, copy=self._copy)

    def begin_with(self, other: "BaseSchema") -> None:
        """Know what another one knows, before anything else is known."""
        self._copy.update(other._load())  # noqa: SLF001 - the same class

    def known(self) -> KnownBase:
        """The tables, and their fields with their types."""
        return known_base(self._load())

    def fields_by_table(self) -> dict[str, list[str]]:
        """Table name -> the names of its known fields."""
        return self._load()["fields"]

    def table_ids(self) -> dict[str, str]:
        """Table name -> table id."""
        return self._load()["ids"]

    def field_names(self) -> dict[str, dict[str, str]]:
        """Table id -> field id -> field name."""
        return self._load()["field_names"]

    def is_outdated(self) -> bool:
        """Whether the schema was never read, or may have changed since."""
        return not self._load()["read_at"]

    def mark_outdated(self) -> None:
        self._save({**self._load(), "read_at": 0.0})

    def add_seen_fields(self, seen: AbstractMapping[str, list[str]]) -> KnownBase:
        """Add fields that records were seen with. Returns all that is known."""
        stored = self._load()
        fields = stored["fields"]
        merged = {
            table: list(dict.fromkeys([*fields.get(table, ()), *seen.get(table, ())]))
            for table in {**fields, **seen}
        }
        if merged != fields:
            self._save({**stored, "fields": merged})
        return known_base({**stored, "fields": merged})

    def apply_changes(self, changed: ChangedFields, existing: AbstractSet[str]) -> bool:
        """Apply what the change feed says about fields. `existing` are the ids of changed fields
        that are not new. False, and nothing is done, if one of them is unknown here: then the
        schema has to be read."""
        stored = self._load()
        known = {field_id for table in stored["field_names"].values() for field_id in table}
        if not existing <= known:
            return False
        fields, names = dict(stored["fields"]), dict(stored["field_names"])
        for table, table_id in stored["ids"].items():
            before, now = names.get(table_id, {}), changed.get(table_id, {})
            names[table_id] = {id_: each for id_, each in {**before, **now}.items() if each}
            current = list(names[table_id].values())
            deleted = {before[id_] for id_ in now if id_ in before}.difference(current)
            listed = dict.fromkeys([*fields.get(table, ()), *current])
            fields[table] = [name for name in listed if name not in deleted]
        self._save({**stored, "fields": fields, "field_names": names})
        return True

    def store_tables(self, tables: BaseTables) -> BaseTables:
        """Store a schema that was just read. Returns it."""
        self._save(stored_now(tables))
        return tables

    def renew_if_old(self, read_tables: Callable[[], BaseTables | None]) -> bool:
        """Read the schema every half day, once for all processes. `read_tables` returns None if it
        can't be read. Returns whether the schema is known now."""
        if time.time() - self._load()["read_at"] < RENEW_SECONDS:
            return True
        if (tables := read_tables()) is None:
            return False
        self.store_tables(tables)
        return True

    def _load(self) -> StoredSchema:
        try:
            stored = self._store.get(KEY)
        except (CacheUnavailable, ValueError, RecursionError):  # down, or not JSON
            stored = None
        if not is_valid(stored):
            return {**self._copy, "read_at": 0.0}
        found = cast("StoredSchema", stored)
        self._copy.update(found)
        return found

    def _save(self, schema: StoredSchema) -> None:
        self._copy.update(schema)
        if not self._has_redis:
            return
        try:
            self._store.set(KEY, schema, None)
        except CacheUnavailable as error:
            logger.warning("The base's schema can't be stored: %s", error)
