"""What was told already, over all processes and machines: in the database, where one conditional
write decides who tells. Without it, a lease in Redis decides; without both, each process tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, IntegrityError, transaction

from airtable_sync.cache.redis_store import TELEMETRY, CacheUnavailable
from airtable_sync.models import Incident
from airtable_sync.monitoring.health_rules import Kind

# A trouble is over when nobody has seen it for so long: what comes and goes is told once.
CALM = timedelta(minutes=10)
SEEN_EVERY = timedelta(minutes=2)
LEASE_SECONDS = 3600
BEGINS, ENDS = "begins", "ends"


@dataclass(frozen=True)
class Change:
    """A trouble that began, with its sentence, or one that is over, without."""

    kind: Kind
    sentence: str = ""


class Told:
    def __init__(self) -> None:
        self._seen: dict[str, datetime] = {}  # what the database said last: kind -> when seen
        self._aside: dict[str, datetime] = {}  # told while the database was away

    def changes(self, judged: Mapping[Kind, str], now: datetime) -> list[Change]:
        """What this process has to tell; nobody else does, as far as they hear of each other."""
        here = self._look()
        found = []
        for kind, sentence in judged.items():
            aside = not here or kind in self._aside
            tell = self._aside_tells if aside else self._database_tells
            if tell(kind, sentence, now):
                found.append(Change(kind, sentence))
        return found

    def _look(self) -> bool:
        """Whether the database is there."""
        try:
            self._seen = dict(Incident.objects.values_list("kind", "seen_at"))
        except DatabaseError:
            return False
        return True

    def _database_tells(self, kind: str, sentence: str, now: datetime) -> bool:
        seen = self._seen.get(kind)
        try:
            if sentence and seen is None:
                return _create(kind, sentence, now)
            if sentence and seen and now - seen >= SEEN_EVERY:
                Incident.objects.filter(kind=kind).update(seen_at=now, sentence=sentence)
            if sentence or seen is None or now - seen < CALM:
                return False
            return Incident.objects.filter(kind=kind, seen_at__lte=now - CALM).delete()[0] == 1
        except DatabaseError:
            return False  # the next round sees to it

    def _aside_tells(self, kind: str, sentence: str, now: datetime) -> bool:
        """By a lease in Redis. What the database has been told of ends when it is back."""
        if kind in self._seen:
            return False
        seen = self._aside.get(kind)
        if sentence:
            self._aside[kind] = now
            return seen is None and _lease(kind, BEGINS)
        if seen is None or now - seen < CALM:
            return False
        del self._aside[kind]
        return _lease(kind, ENDS)


def _create(kind: str, sentence: str, now: datetime) -> bool:
    try:
        with transaction.atomic():
            Incident.objects.create(kind=kind, sentence=sentence, began_at=now, seen_at=now)
    except IntegrityError:
        return False
    return True


def _lease(kind: str, what: str) -> bool:
    try:
        TELEMETRY.drop(f"alert:{kind}:{ENDS if what == BEGINS else BEGINS}")
        return TELEMETRY.add(f"alert:{kind}:{what}", "told", LEASE_SECONDS)
    except CacheUnavailable:
        return True
