"""The versions of the mapping that were saved: in the database, and the one in force also in Redis,
for a process that starts while the database is down."""

import logging
import secrets
from contextlib import suppress

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from airtable_sync.cache.database import close_connection
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.mapping.source import DEFAULT, FileSource, MappingSource, SavedSource
from airtable_sync.models import MappingDraft, MappingVersion
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

KEY = "mapping_in_force"  # {"number": …, "generation": …, "text": …}


class ChangedMeanwhile(Exception):
    """Another version is in force than the one that was edited. The message says whose it is."""


class MappingVersions:
    """`path` is AIRTABLE_MAPPING's: where it is set, the file wins. `store` is None without
    Redis."""

    def __init__(self, path: str, store: RedisStore | None) -> None:
        self.path = path
        self._store = store

    def in_force(self) -> MappingSource:
        """Raises DatabaseError if the database is down and Redis does not know it either."""
        if self.path:
            return FileSource(self.path)
        try:
            return self.saved_or_default()
        except DatabaseError:
            if copy := self._copy():
                return copy
            raise

    def saved_or_default(self) -> MappingSource:
        """As the database has it. Raises DatabaseError."""
        try:
            newest = MappingVersion.objects.first()
        finally:
            close_connection()
        return source_of(newest) if newest else FileSource(str(DEFAULT))

    def at_start(self) -> MappingSource:
        """Of a process that starts. While neither the database nor Redis has the version, it is the
        shipped mapping, whose cached set is another one; then the process changes to the saved one
        as soon as the database answers."""
        try:
            return self.in_force()
        except DatabaseError as error:
            logger.warning("The database does not say which mapping is in force: %s", error)
            return FileSource(str(DEFAULT))

    def put_in_force(self, draft: MappingDraft) -> MappingVersion:
        """The one moment at which a version is in force: before, all processes use the one before.
        Raises ChangedMeanwhile and DatabaseError."""
        try:
            with transaction.atomic():
                newest = MappingVersion.objects.first()
                require_unchanged(newest, draft.based_on)
                version = MappingVersion.objects.create(
                    number=(newest.number if newest else 0) + 1,
                    generation=draft.generation,
                    text=draft.text,
                    note=draft.note,
                    saved_by=draft.user,
                    saved_at=timezone.now(),
                )
        except IntegrityError:  # two at the same moment
            require_unchanged(MappingVersion.objects.first(), draft.based_on)
            raise
        self.copy_to_redis(source_of(version))
        return version

    def copy_to_redis(self, source: MappingSource) -> None:
        if self._store and isinstance(source, SavedSource):
            value = {
                "number": source.number,
                "generation": source.generation,
                "text": source.toml,
            }
            with suppress(CacheUnavailable):  # the next process that notices the version does it
                self._store.set(KEY, value, None)

    def _copy(self) -> SavedSource | None:
        if self._store is None:
            return None
        try:
            value = self._store.get(KEY)
            return SavedSource(int(value["number"]), str(value["generation"]), str(value["text"]))
        except (CacheUnavailable, KeyError, TypeError, ValueError):
            return None


def source_of(version: MappingVersion) -> SavedSource:
    return SavedSource(version.number, version.generation, version.text)


def new_generation() -> str:
    """Never used before, also if the database was lost and its numbers begin again."""
    return f"m{secrets.token_hex(5)}"


def require_unchanged(newest: MappingVersion | None, based_on: int) -> None:
    """Raises ChangedMeanwhile."""
    if newest and newest.number != based_on:
        raise ChangedMeanwhile(
            f"{newest.saved_by or 'A command'} saved version {newest.number} at "
            f"{newest.saved_at:%H:%M} UTC, after you had begun. Nothing was overwritten: compare "
            "your text with it."
        )
