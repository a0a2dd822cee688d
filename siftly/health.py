"""Is the process alive, is it ready, and what it does from its start to its end."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from interlock import CircuitOpenError, State

from airtable_sync.airtable import circuit_breakers, formulas
from airtable_sync.airtable.client import CHANGE_LIMITS, Airtable
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache import database, snapshot_fallback
from airtable_sync.cache.redis_store import CALLS, PATIENT, CacheUnavailable
from airtable_sync.cache.replica import of_this_process
from airtable_sync.cache.subscription import Subscription
from airtable_sync.changes.apply import Feed
from airtable_sync.changes.follower import Watcher
from airtable_sync.changes.notifications import PINGS
from airtable_sync.lookup import answerer, single_flight
from airtable_sync.lookup.airtable_lookup import AIRTABLE, probe
from airtable_sync.mapping import base_schema
from airtable_sync.monitoring.alerts import periodic_check
from airtable_sync.monitoring.metrics import counters, flush
from siftly.server.http import Receive, Response, Send, json_response

logger = logging.getLogger(__name__)

FIRST_LOAD_SECONDS = 10.0
DATABASE_SECONDS = 8.0
UPKEEP_SECONDS = 3600.0
FIRST_PAUSE_SECONDS = 1.0  # doubled after each failure
PART_SECONDS = 1.0
PROBE_SECONDS = 60.0
# A thread each: where one part says nothing, the other is still asked.
_REDIS, _DATABASE = (ThreadPoolExecutor(1, thread_name_prefix="probe") for _ in range(2))

_first_load_ended = asyncio.Event()


async def healthz() -> Response:
    """200 while the process lives. Touches nothing: an outage elsewhere must not restart us."""
    return Response(b"ok")


async def readyz() -> Response:
    """503 until the first load ended or timed out, then 200; every part with its state."""
    ready = _first_load_ended.is_set()
    replica = of_this_process()
    redis, database = await asyncio.gather(
        _within(_REDIS, _redis_state), _within(_DATABASE, _database_state)
    )
    airtable = "configured" if settings.AIRTABLE_API_KEY else "not configured"
    state = {
        "ready": ready,
        "parts": {"redis": redis, "database": database, "airtable": airtable},
        "replica": {"entries": len(replica), "in_sync": replica.in_sync},
        "breakers": {
            each.name: each.state.value
            for each in (circuit_breakers.REDIS, circuit_breakers.AIRTABLE)
        },
        **counters.snapshot(),
    }
    return json_response(state, 200 if ready else 503)


PROBES: dict[str, Callable[[], Awaitable[Response]]] = {"/healthz": healthz, "/readyz": readyz}


async def _within(thread: ThreadPoolExecutor, part: Callable[[], str]) -> str:
    """The state of a part, which is not available either if it does not say so in time."""
    asking = asyncio.get_running_loop().run_in_executor(thread, part)
    try:
        return await asyncio.wait_for(asking, PART_SECONDS)
    except TimeoutError:
        return "unavailable"


def _redis_state() -> str:
    if not settings.REDIS_URL:
        return "not configured"
    try:
        CALLS.now()
    except CacheUnavailable:
        return "unavailable"
    return "available"


def _database_state() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unavailable"
    finally:
        database.release()
    return "available"


async def lifespan(receive: Receive, send: Send) -> None:
    """https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""
    await receive()
    async with _background():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


@contextlib.asynccontextmanager
async def _background() -> AsyncIterator[None]:
    waiting = single_flight.of_this_loop()
    watcher = Watcher(Feed(PATIENT, of_this_process(), Airtable(CHANGE_LIMITS)))
    PINGS.watcher = watcher
    answerer.last_resort = snapshot_fallback.LastResort(of_this_process())
    subscription = Subscription(
        of_this_process(), waiting.failed_elsewhere, watcher.wake, watcher.look
    )
    if settings.REDIS_URL:
        subscription.start()
        if settings.AIRTABLE_CHANGES != "off" and settings.AIRTABLE_API_KEY:
            watcher.start()
    work = (_library(), _first_load(subscription), _upkeep(), _recovery())
    tasks = [asyncio.create_task(each) for each in work]
    try:
        async with flush.in_background(), periodic_check.in_background():
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(watcher.stop)
        await asyncio.to_thread(subscription.stop)


async def _first_load(subscription: Subscription) -> None:
    """Calls are answered before it, too; but they would wait for what is about to be at hand."""
    if settings.REDIS_URL:
        await asyncio.to_thread(subscription.first_load_ended.wait, FIRST_LOAD_SECONDS)
        if not subscription.connected:
            await _from_the_database(snapshot_fallback.start_from_it, subscription.replica)
        _first_load_ended.set()
    else:
        follower = snapshot_fallback.Follower(subscription.replica)
        while True:
            await _from_the_database(follower.sync)
            _first_load_ended.set()
            await asyncio.sleep(snapshot_fallback.FOLLOWED_EVERY_SECONDS)


async def _from_the_database(load: Callable[..., None], *arguments: Any) -> None:
    try:
        await asyncio.wait_for(asyncio.to_thread(load, *arguments), DATABASE_SECONDS)
    except TimeoutError:
        logger.warning("The database's last good set is not there yet")
    except Exception:
        logger.exception("The database's last good set can't be used")


async def _library() -> None:
    """As soon as the copy of all entries is there, which it would hold up: hits go first, and next
    to no caller needs it in a process's first second."""
    await _first_load_ended.wait()
    if settings.AIRTABLE_API_KEY:
        try:
            await asyncio.to_thread(formulas.load)
        except Exception:
            logger.exception("Airtable's library can't be imported")


async def _upkeep() -> None:
    """Know the base's fields, and keep knowing them: what is looked up without them lacks the
    variables that are empty."""
    pause = FIRST_PAUSE_SECONDS
    await _first_load_ended.wait()
    while settings.AIRTABLE_API_KEY:
        known = False
        try:
            known = await asyncio.to_thread(base_schema.renew_if_old, CALLS, AIRTABLE)
        except Exception:
            logger.exception("The upkeep failed")
        pause = UPKEEP_SECONDS if known else min(2 * pause, UPKEEP_SECONDS)
        await asyncio.sleep(pause)


async def _recovery() -> None:
    """A breaker closes by a call that succeeds. Where no cold number rings for long, and the status
    goes on saying that Airtable is left alone, one small request takes the place of the call."""
    while settings.AIRTABLE_API_KEY:
        await asyncio.sleep(PROBE_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
        try:
            await asyncio.to_thread(_probe_if_open)
        except Exception:
            logger.exception("The probe of Airtable ended unforeseen")


def _probe_if_open() -> None:
    if circuit_breakers.AIRTABLE.state is State.CLOSED:
        return
    with contextlib.suppress(AirtableError, CircuitOpenError), circuit_breakers.AIRTABLE:
        probe()
