"""One number explained: what a caller of it would be told now, and where that comes from."""

from dataclasses import dataclass, replace

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup.airtable_lookup import is_served
from airtable_sync.lookup.answerer import Answer
from airtable_sync.mapping import base_schema
from airtable_sync.models import Override
from airtable_sync.status import platform_previews
from airtable_sync.status.display import record_links
from airtable_sync.status.display.masking import masked
from airtable_sync.status.health.collect import STATUS

_READ_BY = {
    "refresh": "a refresh",
    "change": "the change feed",
    "lookup": "a lookup for a call",
    "rollback": "a rollback",
    "pin": "an operator, by hand",
}


@dataclass(frozen=True)
class Explanation:
    number: str
    entry: Entry | None
    where: str  # the copy it was read from
    served: bool  # not left out by TO_NUMBERS
    variables: dict[str, str]  # those of an unknown number are the defaults; never masked
    shown: dict[str, str]  # the same, masked
    fresh: bool
    age_seconds: float
    fresh_seconds: float  # from now on
    lifetime_seconds: float  # for how much longer it may be served
    records: list[record_links.RecordLink]
    answers: list[platform_previews.Shown]
    pin: Override | None

    @property
    def known(self) -> bool:
        return self.entry is not None and self.entry.known

    @property
    def can_drop(self) -> bool:
        return bool(settings.REDIS_URL) and self.entry is not None and self.pin is None

    @property
    def read_by(self) -> str:
        return _READ_BY.get(self.entry.by, self.entry.by) if self.entry else ""


def explain(number: str, *, may_see: bool) -> Explanation:
    entry, where = read(number)
    replica = of_this_process()
    now, confirmed_at = replica.now(), replica.confirmed_at
    variables = entry.config if entry and entry.config is not None else settings.DEFAULT_VARIABLES
    shown = masked(variables, may_see=may_see)
    age = entry.age_seconds(now, confirmed_at) if entry else 0.0
    table_ids = base_schema.table_ids(STATUS)
    left = _left(entry, now, age)
    return Explanation(
        number=number,
        entry=entry,
        where=where,
        served=is_served(number),
        variables=variables,
        shown=shown,
        fresh=entry is not None and replica.is_fresh(entry),
        age_seconds=age,
        fresh_seconds=left[0],
        lifetime_seconds=left[1],
        records=[record_links.link(each, table_ids) for each in (entry.records if entry else ())],
        answers=platform_previews.show(_answer(number, entry, shown)),
        pin=_pin(number),
    )


def read(number: str) -> tuple[Entry | None, str]:
    """What is cached, and in which copy."""
    if settings.REDIS_URL:
        try:
            return _unless_dropped(STATUS.read(number)), "Redis"
        except CacheUnavailable:
            pass
    return _unless_dropped(of_this_process().get(number)), "this process's memory"


def _unless_dropped(entry: Entry | None) -> Entry | None:
    return None if entry and entry.is_dropped else entry


def _left(entry: Entry | None, now: int, age: float) -> tuple[float, float]:
    """For how much longer it is fresh, and may be served (s)."""
    if entry is None:
        return 0.0, 0.0
    if entry.override_until:
        fresh = max(0.0, (entry.override_until - now) / 1000)
        return fresh, fresh + replace(entry, override_until=0).lifetime_seconds
    return max(0.0, entry.fresh_seconds - age), max(0.0, entry.lifetime_seconds - age)


def _answer(number: str, entry: Entry | None, shown: dict[str, str]) -> Answer:
    known = entry is not None and entry.known
    own = entry.settings if entry and known else {}
    return Answer(number, known, shown, own, "memory" if known else "default", {}, entry)


def _pin(number: str) -> Override | None:
    try:
        return Override.objects.filter(number=number, ends_at__gt=timezone.now()).first()
    except DatabaseError:
        return None
