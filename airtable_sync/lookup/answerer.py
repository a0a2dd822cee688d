"""The one way in from the webhook: what should the agent know, about this called number?

From memory, fresh or older; else from Redis; else looked up in Airtable; else the defaults. Never
an exception, and never later than the deadline, which is one for all of it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from django.conf import settings

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry, recently_decoded
from airtable_sync.cache.redis_store import CALLS, CacheUnavailable
from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup import single_flight
from airtable_sync.lookup.airtable_lookup import is_served
from airtable_sync.monitoring.metrics import counters
from siftly.server.logs import Line

logger = logging.getLogger(__name__)

Source = Literal["memory", "redis", "airtable", "stale", "default"]

_REDIS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="redis")
_REPLICA = of_this_process()
HIT = Line(logger, "Redis cache hit for %s", tier="memory")
LAST_RESORT_SECONDS = 0.3


# What fills the replica when there is neither Redis nor Airtable; the server sets it at its start.
last_resort: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`known` is false where the variables are the defaults. `spent` tells the seconds of each
    tier that was asked; `entry` what is known of the number, if that could be found out."""

    number: str | None
    known: bool
    variables: dict[str, str]
    settings: dict[str, str]
    source: Source
    spent: dict[str, float] = field(default_factory=dict)
    entry: Entry | None = None


def at_once(number: str | None) -> bytes | None:
    """A fresh entry of this process's memory: what it says is told by `of_memory`, and stays the
    same for the same bytes. None where there is none; `answer` finds the best one then. Who tells
    it logs a HIT."""
    return _REPLICA.fresh(number) if number is not None and is_served(number) else None


def of_memory(number: str, raw: bytes) -> Answer:
    entry = recently_decoded(number, raw)
    return Answer(number, True, entry.config or {}, entry.settings, "memory", {}, entry)


async def answer(number: str | None, deadline_seconds: float) -> Answer:
    """The answer for a called number in E.164; None is a number that is no telephone number."""
    try:
        return await _best(number, time.monotonic() + deadline_seconds)
    except Exception:
        logger.exception("No answer could be found for %s", number)
        return _default(number)


async def _best(number: str | None, deadline: float) -> Answer:
    if number is None or not is_served(number):
        return _default(number)
    held = _REPLICA.get_any_age(number)
    if held and (found := _from_cache(held, "memory", {})):
        return found
    if _REPLICA.knows_all() and not (held and held.known):
        return _of(Entry(number, None, _REPLICA.confirmed_at, "change"), "memory", {})
    spent: dict[str, float] = {}
    if settings.REDIS_URL:
        started = time.monotonic()
        cached = await _from_redis(number, deadline)
        spent["redis"] = time.monotonic() - started
        if cached and (found := _from_cache(cached, "redis", spent)):
            _REPLICA.keep(cached, saved=True)
            return found
    started = time.monotonic()
    reserve = LAST_RESORT_SECONDS if last_resort and not _REPLICA.confirmed_at else 0.0
    entry = await _from_airtable(number, max(deadline - reserve, started))
    spent["airtable"] = time.monotonic() - started
    if entry:
        return _from_cache(entry, "airtable", spent) or _default(number, spent)
    return await _from_last_resort(number, deadline, spent) or _default(number, spent)


async def _from_last_resort(number: str, deadline: float, spent: dict[str, float]) -> Answer | None:
    """For a process that never had a set, when nobody else answers."""
    if _REPLICA.confirmed_at or not last_resort:
        return None
    with suppress(TimeoutError):
        await asyncio.wait_for(last_resort(), deadline - time.monotonic())
    held = _REPLICA.get(number)
    return _from_cache(held, "memory", spent) if held else None


def _from_cache(entry: Entry, tier: Source, spent: dict[str, float]) -> Answer | None:
    """The answer by an entry that is cached: at once, also if it is past its time and has to be
    renewed, unless that would mean to send a caller away as unknown."""
    if _REPLICA.is_fresh(entry):
        return _of(entry, tier, spent)
    if not _REPLICA.is_servable(entry):
        return None
    single_flight.of_this_loop().renew(entry.number)
    return _of(entry, "stale", spent)


def _of(entry: Entry, source: Source, spent: dict[str, float]) -> Answer:
    if entry.config is None:
        logger.info("Unknown number %s", entry.number, extra={"tier": source})
        return _default(entry.number, spent, entry)
    if source != "airtable":
        logger.info("Redis cache hit for %s", entry.number, extra={"tier": source})
    return Answer(entry.number, True, entry.config, entry.settings, source, spent, entry)


def _default(
    number: str | None, spent: dict[str, float] | None = None, entry: Entry | None = None
) -> Answer:
    return Answer(number, False, settings.DEFAULT_VARIABLES, {}, "default", spent or {}, entry)


async def _from_redis(number: str, deadline: float) -> Entry | None:
    """The cached entry. An outage is no miss: it is counted, and logged as one."""
    reading = asyncio.get_running_loop().run_in_executor(_REDIS, CALLS.read, number)
    try:
        entry = await asyncio.wait_for(reading, deadline - time.monotonic())
    except (CacheUnavailable, TimeoutError) as error:
        counters.failed("redis")
        logger.warning("Redis can't be asked for %s: %s", number, error or "it takes too long")
        return None
    if entry is None:
        logger.info("Redis cache miss for %s", number)
    return entry


async def _from_airtable(number: str, deadline: float) -> Entry | None:
    """Look the number up. When time is over the lookup goes on, and what it finds is cached."""
    lookup = single_flight.of_this_loop().of(number)
    try:
        return await asyncio.wait_for(asyncio.shield(lookup), deadline - time.monotonic())
    except TimeoutError:
        counters.failed("airtable")
        logger.warning("The lookup of %s takes longer than the call may wait", number)
    except AirtableError as error:
        counters.failed("airtable")
        logger.debug("No answer from Airtable for %s: %s", number, error)  # logged once, there
    return None
