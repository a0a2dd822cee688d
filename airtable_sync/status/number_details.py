"""One called number explained: its config, where it comes from, and what each platform gets."""

from dataclasses import dataclass, replace

from django.db import DatabaseError
from django.utils import timezone

from airtable_sync.cache.contacts import contact_keys, first_known
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.lifetimes import Lifetimes
from airtable_sync.lookup.answer import Answer
from airtable_sync.mapping.base_schema import BaseSchema
from airtable_sync.models import Override
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services
from airtable_sync.status.answer_now import AnswerNow, AnswersNow
from airtable_sync.status.display.masking import mask
from airtable_sync.status.display.record_links import RecordLink, RecordLinks
from airtable_sync.status.platform_previews import PlatformPreview, PlatformPreviews

_ORIGINS = {
    "refresh": "read by a refresh",
    "change": "read by the change feed",
    "lookup": "read by a lookup",
    "rollback": "published by a rollback",
    "override": "set by an override",
}


@dataclass(frozen=True)
class NumberDetails:
    """`variables` are not masked, `shown_variables` are. Those of an unknown number are the
    defaults."""

    number: str
    now: AnswerNow
    can_drop: bool
    override: Override | None
    variables: dict[str, str]
    shown_variables: dict[str, str]
    is_fresh: bool
    age_seconds: float
    fresh_seconds: float  # from now
    lifetime_seconds: float  # from now, until it may not be served any more
    records: list[RecordLink]
    previews: list[PlatformPreview]
    caller: "CallerDetails | None" = None

    @property
    def entry(self) -> Entry | None:
        return self.now.entry

    @property
    def is_served(self) -> bool:
        """Not excluded by TO_NUMBERS."""
        return self.now.state != "not served"

    @property
    def is_known(self) -> bool:
        return self.now.state == "known"

    @property
    def needs_lookup(self) -> bool:
        return self.now.state == "lookup"

    @property
    def origin(self) -> str:
        """As the page shows it."""
        if self.override:
            return f"set by hand by {self.override.created_by}"
        return _ORIGINS.get(self.entry.origin, self.entry.origin) if self.entry else ""


@dataclass(frozen=True)
class CallerDetails:
    """What the agent gets about one caller, whose number is not shown."""

    is_known: bool
    variables: dict[str, str]
    records: list[RecordLink]


class NumberReader:
    """Reads what is cached of a number. Only `read_again` asks Airtable."""

    def __init__(
        self, services: Services, base_schema: BaseSchema, previews: PlatformPreviews
    ) -> None:
        self._services = services
        self._base_schema = base_schema
        self._previews = previews
        self._answers = AnswersNow(services)

    def cached_entry(self, number: str) -> tuple[Entry | None, str]:
        """The entry, and from which copy."""
        return self._answers.cached_entry(number)

    def preview(self, number: str, entry: Entry, *, may_see: bool) -> list[PlatformPreview]:
        """What each platform would get with this entry. `may_see` as for `details`."""
        shown = mask(entry.config or {}, may_see=may_see)
        return self._previews.preview(_answer(number, AnswerNow("known", entry, ""), shown))

    def caller_details(
        self, entry: Entry | None, caller: str, *, may_see: bool
    ) -> CallerDetails | None:
        """None if Redis, which has the contacts, does not answer."""
        services = self._services
        keys = contact_keys(entry.records if entry else (), caller)
        try:
            if services.configuration.has_redis:
                found = first_known(services.contact_store.read_many(keys), keys)
            else:
                found = first_known(filter(None, map(services.contacts.get, keys)), keys)
        except CacheUnavailable:
            return None
        shown = mask((found and found.config) or {}, may_see=may_see)
        records = self.record_links().links(found.records if found else ())
        return CallerDetails(found is not None, shown, records)

    def details(self, number: str, *, may_see: bool, caller: str = "") -> NumberDetails:
        """`may_see`: whether the user may see secrets. `caller` is in E.164, "" for none."""
        services, replica = self._services, self._services.replica
        now_given = self._answers.get(number)
        entry = now_given.entry
        config = entry.config if entry and now_given.state == "known" else None
        variables = dict(services.unknown_number.variables if config is None else config)
        shown = mask(variables, may_see=may_see)
        override = _active_override(number)
        now = replica.now()
        age = entry.age_seconds(now, replica.confirmed_at) if entry else 0.0
        fresh, lifetime = _remaining_seconds(replica.lifetimes, entry, now, age)
        has_redis = services.configuration.has_redis
        return NumberDetails(
            number=number,
            now=now_given,
            can_drop=has_redis and entry is not None and override is None,
            override=override,
            variables=variables,
            shown_variables=shown,
            is_fresh=entry is not None and replica.is_fresh(entry),
            age_seconds=age,
            fresh_seconds=fresh,
            lifetime_seconds=lifetime,
            records=self.record_links().links(entry.records if entry else ()),
            previews=self._previews.preview(_answer(number, now_given, shown)),
            caller=self.caller_details(entry, caller, may_see=may_see) if caller else None,
        )

    def record_links(self) -> RecordLinks:
        base_id = self._services.configuration.airtable_base_id
        return RecordLinks(base_id, self._base_schema.table_ids())

    def read_again(self, number: str) -> Entry:
        """Read the number from Airtable and cache it. Raises AirtableError, CacheUnavailable."""
        [entry] = self._services.guarded_lookup.look_up([number])
        if self._services.configuration.has_redis:
            self._services.call_store.write([entry], announce_unchanged=True)
        else:
            self._services.replica.keep(entry, saved=True)
        return entry


def _remaining_seconds(
    lifetimes: Lifetimes, entry: Entry | None, now: int, age: float
) -> tuple[float, float]:
    """For how long it is still fresh, and may still be served."""
    if entry is None:
        return 0.0, 0.0
    if entry.override_until:
        fresh = max(0.0, (entry.override_until - now) / 1000)
        return fresh, fresh + lifetimes.total_seconds(replace(entry, override_until=0))
    return (
        max(0.0, lifetimes.fresh_seconds(entry) - age),
        max(0.0, lifetimes.total_seconds(entry) - age),
    )


def _answer(number: str, now: AnswerNow, variables: dict[str, str]) -> Answer:
    """What a call would get now, with these variables."""
    if now.state != "known" or now.entry is None:
        return Answer(number, False, variables, {}, "default", entry=now.entry)
    return Answer(number, True, variables, now.entry.settings, "memory", entry=now.entry)


def _active_override(number: str) -> Override | None:
    try:
        return Override.objects.filter(number=number, ends_at__gt=timezone.now()).first()
    except DatabaseError:
        return None
