"""Is the process alive, is it ready, and what it does from its start to its end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse, JsonResponse

from airtable_sync import fields
from airtable_sync.lookup import AIRTABLE
from airtable_sync.store import CALLS, StoreUnavailable

logger = logging.getLogger(__name__)

FIRST_LOAD_SECONDS = 10.0
UPKEEP_SECONDS = 3600.0

_first_load_ended = asyncio.Event()


async def healthz() -> HttpResponse:
    """200 while the process lives. Touches nothing: an outage elsewhere must not restart us."""
    return HttpResponse("ok", content_type="text/plain")


async def readyz() -> HttpResponse:
    """503 until the first load ended or timed out, then 200; every part with its state."""
    ready = _first_load_ended.is_set()
    redis, database = await asyncio.gather(
        asyncio.to_thread(_redis_state), asyncio.to_thread(_database_state)
    )
    airtable = "configured" if settings.AIRTABLE_API_KEY else "not configured"
    parts = {"redis": redis, "database": database, "airtable": airtable}
    return JsonResponse({"ready": ready, "parts": parts}, status=200 if ready else 503)


PROBES: dict[str, Callable[[], Awaitable[HttpResponse]]] = {"/healthz": healthz, "/readyz": readyz}


def _redis_state() -> str:
    if not settings.REDIS_URL:
        return "not configured"
    try:
        CALLS.now()
    except StoreUnavailable:
        return "unavailable"
    return "available"


def _database_state() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unavailable"
    finally:
        connection.close()
    return "available"


async def lifespan(
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""
    await receive()
    async with _background():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


@contextlib.asynccontextmanager
async def _background() -> AsyncIterator[None]:
    upkeep = asyncio.create_task(_upkeep())
    try:
        yield
    finally:
        upkeep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await upkeep


async def _upkeep() -> None:
    """Know the base's fields before the first call, and keep knowing them."""
    while True:
        if not settings.AIRTABLE_API_KEY:
            _first_load_ended.set()
            return
        renewal = asyncio.to_thread(fields.renew_if_old, CALLS, AIRTABLE)
        try:
            await asyncio.wait_for(renewal, FIRST_LOAD_SECONDS)
        except TimeoutError:
            logger.warning("The base's fields are not known yet: Airtable takes too long.")
        finally:
            _first_load_ended.set()
        await asyncio.sleep(UPKEEP_SECONDS)
