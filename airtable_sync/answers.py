"""The one way in from the webhook: what should the agent know, about this called number?

Fresh in Redis, else looked up in Airtable, else stale, else the defaults. Never an exception, and
never later than the deadline."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from django.conf import settings

from airtable_sync.airtable_errors import AirtableError
from airtable_sync.entries import Entry
from airtable_sync.lookup import is_served, look_up_and_cache
from airtable_sync.store import CALLS, StoreUnavailable

logger = logging.getLogger(__name__)

Source = Literal["memory", "redis", "airtable", "stale", "default"]

_REDIS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="redis")
_AIRTABLE = ThreadPoolExecutor(max_workers=4, thread_name_prefix="airtable")
_lookups: dict[str, asyncio.Task[Entry]] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """`known` is false where the variables are the defaults. `spent` tells the seconds of each
    tier that was asked."""

    number: str | None
    known: bool
    variables: dict[str, str]
    settings: dict[str, str]
    source: Source
    spent: dict[str, float] = field(default_factory=dict)


async def answer(number: str | None, deadline_seconds: float) -> Answer:
    """The answer for a called number in E.164; None is a number that is no telephone number."""
    try:
        if number is None or not is_served(number):
            return _default(number, {})
        return await _best(number, deadline_seconds)
    except Exception:
        logger.exception("No answer could be found for %s", number)
        return _default(number, {})


async def _best(number: str, deadline_seconds: float) -> Answer:
    spent: dict[str, float] = {}
    started = time.monotonic()
    cached, fresh = await _from_redis(number)
    spent["redis"] = time.monotonic() - started
    if cached and fresh:
        return _of(cached, "redis", spent)
    left = deadline_seconds - spent["redis"]
    started = time.monotonic()
    entry = await _from_airtable(number, left)
    spent["airtable"] = time.monotonic() - started
    if entry:
        return _of(entry, "airtable", spent)
    return _of(cached, "stale", spent) if cached else _default(number, spent)


def _of(entry: Entry, source: Source, spent: dict[str, float]) -> Answer:
    if entry.config is None:
        logger.info("Unknown number %s", entry.number, extra={"tier": source})
        return _default(entry.number, spent)
    if source in ("redis", "stale"):
        logger.info("Redis cache hit for %s", entry.number, extra={"tier": source})
    return Answer(entry.number, True, entry.config, entry.settings, source, spent)


def _default(number: str | None, spent: dict[str, float]) -> Answer:
    return Answer(number, False, settings.DEFAULT_VARIABLES, {}, "default", spent)


async def _from_redis(number: str) -> tuple[Entry | None, bool]:
    """The cached entry, if there is one, and whether it is fresh."""

    def read() -> tuple[Entry | None, bool]:
        entry = CALLS.read(number)
        if entry is None:
            logger.info("Redis cache miss for %s", number)
            return None, False
        return entry, entry.is_fresh(int(time.time() * 1000))

    try:
        return await asyncio.get_running_loop().run_in_executor(_REDIS, read)
    except StoreUnavailable as error:
        logger.warning("Redis can't be asked for %s: %s", number, error)
        return None, False


async def _from_airtable(number: str, seconds: float) -> Entry | None:
    """Look the number up, once for all who ask meanwhile. When time is over the lookup goes on,
    and what it finds is cached for the next call."""
    lookup = _lookups.get(number)
    if lookup is None:
        lookup = _lookups[number] = asyncio.create_task(_look_up(number))
        lookup.add_done_callback(lambda done: _finished(number, done))
    try:
        return await asyncio.wait_for(asyncio.shield(lookup), max(0.0, seconds))
    except TimeoutError:
        logger.warning("The lookup of %s takes longer than the call may wait.", number)
    except AirtableError as error:
        logger.warning("Airtable can't be asked for %s: %s", number, error)
    return None


def _finished(number: str, lookup: asyncio.Task[Entry]) -> None:
    _lookups.pop(number, None)
    if not lookup.cancelled() and (error := lookup.exception()):
        logger.debug("The lookup of %s failed: %r", number, error)  # its callers have logged it


async def _look_up(number: str) -> Entry:
    loop = asyncio.get_running_loop()
    return (await loop.run_in_executor(_AIRTABLE, look_up_and_cache, [number]))[number]
