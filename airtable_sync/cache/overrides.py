"""Overrides: variables that an operator set by hand for a limited time. The database has them;
Redis and the replicas serve them as entries that no reading replaces until they end."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from airtable_sync.cache.database import ignore_database_errors
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore, clock_now
from airtable_sync.cache.replica import Replica
from airtable_sync.models import Override
from airtable_sync.redis_client.connection import CacheUnavailable


class Overrides:
    def __init__(self, store: RedisStore, replica: Replica, *, has_redis: bool) -> None:
        self._store = store
        self._replica = replica
        self._has_redis = has_redis

    def create(
        self, before: Entry, variables: Mapping[str, str], reason: str, ends_at: datetime, user: str
    ) -> tuple[Override, bool]:
        """Override the variables of a number, whose cached entry is `before`. The second value says
        whether Redis has it; if not, other processes follow when Redis is back. Raises
        DatabaseError."""
        values: dict[str, Any] = {
            "variables": dict(variables),
            "settings": before.settings,
            "records": list(before.records),
            "reason": reason,
            "ends_at": ends_at,
            "created_at": datetime.fromtimestamp(clock_now(self._store) / 1000, UTC),
            "created_by": user,
        }
        created, _ = Override.objects.update_or_create(number=before.number, defaults=values)
        return created, self._publish(entry_of(created))

    def end(self, number: str) -> None:
        """From now on any reading replaces the override. Raises CacheUnavailable, DatabaseError."""
        override = Override.objects.filter(number=number).first()
        if override is None:
            return
        if self._has_redis:
            now = self._store.now()
            ended = Entry(
                number,
                override.variables,
                now,
                "override",
                override.settings,
                override_until=now,
            )
            self._store.write([ended], announce_unchanged=True)
        override.delete()

    def drop(self, number: str) -> None:
        """Make the next call of a number ask Airtable. Replicas would write a deleted entry back;
        so this writes an empty one that is never fresh. Raises CacheUnavailable."""
        dropped = Entry(number, None, self._store.now(), "override", override_until=1)
        self._store.write([dropped], announce_unchanged=True)

    def restore_lost(self) -> None:
        """Write the overrides that Redis has lost. Raises CacheUnavailable."""
        entries: Sequence[Entry] = ()
        with ignore_database_errors("reading overrides", when=self._has_redis):
            entries = [entry_of(each) for each in active_overrides()]
        if not entries or not self._has_redis:
            return
        numbers = [entry.number for entry in entries]
        stored = {each.number: each.override_until for each in self._store.read_many(numbers)}
        lost = [each for each in entries if stored.get(each.number) != each.override_until]
        self._store.write(lost, announce_unchanged=True)

    def apply_to_replica(self, overrides: Sequence[Override]) -> None:
        """For a replica that starts from the database, or follows it."""
        for override in overrides:
            self._replica.keep(entry_of(override), saved=not self._has_redis)

    def _publish(self, entry: Entry) -> bool:
        saved = True
        if self._has_redis:
            try:
                self._store.write([entry], announce_unchanged=True)
            except CacheUnavailable:
                saved = False
        self._replica.keep(entry, saved=saved)
        return saved and self._has_redis


def active_overrides() -> list[Override]:
    """Raises DatabaseError."""
    return list(Override.objects.filter(ends_at__gt=timezone.now()))


def entry_of(override: Override) -> Entry:
    return Entry(
        number=override.number,
        config=override.variables,
        read_at=_milliseconds(override.created_at),
        origin="override",
        settings=override.settings,
        records=tuple(override.records),
        override_until=_milliseconds(override.ends_at),
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
