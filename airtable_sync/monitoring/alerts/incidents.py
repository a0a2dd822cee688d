"""Incidents: the problems that an alert was sent for. They are in the database, where one
conditional write decides which process sends the alert. Without the database a lease in Redis
decides; without both, each process sends it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, IntegrityError, transaction

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.models import Incident
from airtable_sync.monitoring.health_rules import Kind
from airtable_sync.redis_client.connection import CacheUnavailable

# An incident ends after ten minutes without the problem: one that comes and goes gives one alert.
CALM = timedelta(minutes=10)
SEEN_EVERY = timedelta(minutes=2)
LEASE_SECONDS = 3600
STARTED, ENDED = "started", "ended"


@dataclass(frozen=True)
class IncidentChange:
    """An incident that started, with its message; or one that ended, with ""."""

    kind: Kind
    message: str = ""


class Incidents:
    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._last_seen: dict[str, datetime] = {}  # in the database: kind -> when
        self._without_database: dict[str, datetime] = {}  # started while the database was down

    def changes(self, messages: Mapping[Kind, str], now: datetime) -> Iterator[IncidentChange]:
        """Records the changes. Yields those that this process has to send, each as soon as it is
        recorded: no other process sends it, and recording the next one may fail."""
        has_database = self._read_database()
        for kind, message in messages.items():
            use_redis = not has_database or kind in self._without_database
            record = self._record_in_redis if use_redis else self._record_in_database
            if record(kind, message, now):
                yield IncidentChange(kind, message)

    def _read_database(self) -> bool:
        """False if the database does not answer."""
        try:
            self._last_seen = dict(Incident.objects.values_list("kind", "last_seen_at"))
        except DatabaseError:
            return False
        return True

    def _record_in_database(self, kind: str, message: str, now: datetime) -> bool:
        """Record the change. Returns whether this process has to send the alert."""
        last_seen = self._last_seen.get(kind)
        try:
            if message and last_seen is None:
                return _create(kind, message, now)
            if message and last_seen and now - last_seen >= SEEN_EVERY:
                Incident.objects.filter(kind=kind).update(last_seen_at=now, message=message)
            if message or last_seen is None or now - last_seen < CALM:
                return False
            ended = Incident.objects.filter(kind=kind, last_seen_at__lte=now - CALM)
            return ended.delete()[0] == 1
        except DatabaseError:
            return False  # the next check tries again

    def _record_in_redis(self, kind: str, message: str, now: datetime) -> bool:
        """The same while the database is down. An incident that the database has also ends there,
        when the database is back."""
        if kind in self._last_seen:
            return False
        last_seen = self._without_database.get(kind)
        if message:
            self._without_database[kind] = now
            return last_seen is None and self._acquire(kind, STARTED)
        if last_seen is None or now - last_seen < CALM:
            return False
        del self._without_database[kind]
        return self._acquire(kind, ENDED)

    def _acquire(self, kind: str, change: str) -> bool:
        opposite = ENDED if change == STARTED else STARTED
        try:
            self._store.delete(f"alert:{kind}:{opposite}")
            return self._store.acquire_lease(f"alert:{kind}:{change}", "sent", LEASE_SECONDS)
        except CacheUnavailable:
            return True


def _create(kind: str, message: str, now: datetime) -> bool:
    try:
        with transaction.atomic():
            Incident.objects.create(kind=kind, message=message, started_at=now, last_seen_at=now)
    except IntegrityError:
        return False
    return True
