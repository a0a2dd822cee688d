"""What should the agent know about this called number? `webhooks` asks here, and nowhere else.

The tiers: memory (fresh or stale), Redis, Airtable, the defaults. It never raises, and never takes
longer than the deadline, which is one for all tiers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.replica import Replica
from airtable_sync.lookup.answer import Answer, Source
from airtable_sync.lookup.callers import Callers
from airtable_sync.lookup.single_flight import SingleFlight
from airtable_sync.lookup.unknown_number import UnknownNumber
from airtable_sync.mapping.active_mapping import ActiveMapping
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

FALLBACK_SECONDS = 0.3  # of the deadline, for the database's snapshot
REDIS_THREADS = 8


class Answerer:
    """`count_failure` gets the name of a tier that gave no answer. `fallback` fills the replica
    when neither Redis nor Airtable answers; the web process sets it when it starts."""

    def __init__(
        self,
        replica: Replica,
        store: RedisStore | None,
        single_flight: SingleFlight,
        active_mapping: ActiveMapping,
        unknown_number: UnknownNumber,
        contacts: Replica,
        contact_store: RedisStore | None,
        count_failure: Callable[[str], None],
    ) -> None:
        self._replica = replica
        self._store = store  # None: there is no Redis
        self._single_flight = single_flight
        self._active_mapping = active_mapping
        self._unknown_number = unknown_number
        self._count_failure = count_failure
        self._threads = ThreadPoolExecutor(REDIS_THREADS, thread_name_prefix="redis")
        self.callers = Callers(contacts, contact_store, unknown_number, self._threads)
        self.fallback: Callable[[], Awaitable[None]] | None = None

    def fresh_bytes(self, number: str) -> bytes | None:
        """The bytes of a fresh entry in memory (`answer_from_bytes` decodes them). None if there is
        none: `answer` finds the best answer then."""
        if not self._active_mapping.is_served(number):
            return None
        return self._replica.get_fresh_bytes(number)

    async def answer(self, number: str | None, deadline_seconds: float) -> Answer:
        """`number` is in E.164, or None if the called number is not a telephone number."""
        try:
            return await self._best(number, time.monotonic() + deadline_seconds)
        except Exception:
            logger.exception("The answer for %s failed", number)
            return self._defaults(number)

    async def _best(self, number: str | None, deadline: float) -> Answer:
        if number is None or not self._active_mapping.is_served(number):
            return self._defaults(number)
        in_memory = self._replica.get_any_age(number)
        if in_memory and (found := self._from_cache(in_memory, "memory", {})):
            return found
        if not (in_memory and in_memory.is_known) and self._replica.is_absent(number):
            unknown = Entry(number, None, self._replica.confirmed_at, "change")
            return self._from_entry(unknown, "memory", {})
        tier_seconds: dict[str, float] = {}
        if self._store:
            reading = self._read_redis(self._store, number, deadline)
            if found := await self._ask_redis(reading, tier_seconds):
                return found
        return await self._ask_airtable(number, deadline, tier_seconds)

    async def _ask_redis(
        self, reading: Awaitable[Entry | None], tier_seconds: dict[str, float]
    ) -> Answer | None:
        started = time.monotonic()
        cached = await reading
        tier_seconds["redis"] = time.monotonic() - started
        if cached and self._replica.is_outdated(cached):
            return None  # a restored Redis has it, Airtable has not
        if cached and (found := self._from_cache(cached, "redis", tier_seconds)):
            self._replica.keep(cached, saved=True)
            return found
        return None

    async def _ask_airtable(
        self, number: str, deadline: float, tier_seconds: dict[str, float]
    ) -> Answer:
        started = time.monotonic()
        may_fall_back = self.fallback is not None and not self._replica.confirmed_at
        reserved = FALLBACK_SECONDS if may_fall_back else 0.0
        entry = await self._look_up(number, max(deadline - reserved, started))
        tier_seconds["airtable"] = time.monotonic() - started
        found = (
            self._from_cache(entry, "airtable", tier_seconds)
            if entry
            else await self._fall_back(number, deadline, tier_seconds)
        )
        return found or self._defaults(number, tier_seconds)

    async def _fall_back(
        self, number: str, deadline: float, tier_seconds: dict[str, float]
    ) -> Answer | None:
        """For a process that has never been in sync (`confirmed_at` is 0), when no tier answers."""
        if self._replica.confirmed_at or not self.fallback:
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(self.fallback(), deadline - time.monotonic())
        entry = self._replica.get(number)
        return self._from_cache(entry, "memory", tier_seconds) if entry else None

    def _from_cache(
        self, entry: Entry, tier: Source, tier_seconds: Mapping[str, float]
    ) -> Answer | None:
        """A fresh entry, or a stale one that is served while it is renewed. None for a stale
        "unknown": the number may exist by now."""
        if self._replica.is_fresh(entry):
            return self._from_entry(entry, tier, tier_seconds)
        if not self._replica.is_servable(entry):
            return None
        self._single_flight.renew(entry.number)
        return self._from_entry(entry, "stale", tier_seconds)

    def _from_entry(
        self, entry: Entry, source: Source, tier_seconds: Mapping[str, float]
    ) -> Answer:
        if entry.config is None:
            logger.info("Unknown number %s", entry.number, extra={"tier": source})
            return self._defaults(entry.number, tier_seconds, entry)
        if source != "airtable":
            logger.info("Redis cache hit for %s", entry.number, extra={"tier": source})
        return Answer(entry.number, True, entry.config, entry.settings, source, tier_seconds, entry)

    def _defaults(
        self,
        number: str | None,
        tier_seconds: Mapping[str, float] | None = None,
        entry: Entry | None = None,
    ) -> Answer:
        variables = self._unknown_number.variables
        return Answer(number, False, variables, {}, "default", tier_seconds or {}, entry)

    async def _read_redis(self, store: RedisStore, number: str, deadline: float) -> Entry | None:
        """An outage is not a miss: it is counted and logged as an outage."""
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(self._threads, store.read, number)
        try:
            entry = await asyncio.wait_for(reading, deadline - time.monotonic())
        except (CacheUnavailable, TimeoutError) as error:
            self._count_failure("redis")
            logger.warning("Redis can't be asked for %s: %s", number, error or "timeout")
            return None
        if entry is None:
            logger.info("Redis cache miss for %s", number)
        return entry

    async def _look_up(self, number: str, deadline: float) -> Entry | None:
        """When the deadline passes, the lookup continues, and its result is cached."""
        lookup = self._single_flight.look_up(number, deadline)
        try:
            return await asyncio.wait_for(asyncio.shield(lookup), deadline - time.monotonic())
        except TimeoutError:
            self._count_failure("airtable")
            logger.warning("The lookup of %s takes longer than the call may wait", number)
        except AirtableError as error:
            self._count_failure("airtable")
            # The lookup has logged it once for all callers.
            logger.debug("No answer from Airtable for %s: %s", number, error)
        return None
