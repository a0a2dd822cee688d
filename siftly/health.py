"""GET /healthz and /readyz."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, connection

from airtable_sync.cache.database import close_connection
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services
from siftly.server.http import Response, json_response

PART_SECONDS = 1.0


class HealthProbes:
    def __init__(self, services: Services, is_ready: Callable[[], bool]) -> None:
        self._services = services
        self._is_ready = is_ready
        # A thread each: if one part hangs, the other is still asked.
        self._redis_thread = ThreadPoolExecutor(1, thread_name_prefix="probe-redis")
        self._database_thread = ThreadPoolExecutor(1, thread_name_prefix="probe-database")

    async def healthz(self) -> Response:
        """200 while the process lives. Touches nothing: an outage must not restart the process."""
        return Response(b"ok")

    async def readyz(self) -> Response:
        """503 until the first load ended or timed out, then 200; the state of every part."""
        is_ready, services = self._is_ready(), self._services
        redis, database = await asyncio.gather(
            _within_limit(self._redis_thread, self._redis_state),
            _within_limit(self._database_thread, _database_state),
        )
        has_token = bool(services.configuration.airtable_api_key)
        airtable = "configured" if has_token else "not configured"
        replica = services.replica
        state = {
            "ready": is_ready,
            "parts": {"redis": redis, "database": database, "airtable": airtable},
            "replica": {"entries": len(replica), "in_sync": replica.in_sync},
            "circuit_breakers": {e.name: e.state.value for e in services.circuit_breakers},
            **services.counters.summary(),
        }
        return json_response(state, 200 if is_ready else 503)

    def by_path(self) -> dict[str, Callable[[], Awaitable[Response]]]:
        return {"/healthz": self.healthz, "/readyz": self.readyz}

    def _redis_state(self) -> str:
        if not self._services.configuration.has_redis:
            return "not configured"
        try:
            self._services.call_store.now()
        except CacheUnavailable:
            return "unavailable"
        return "available"


async def _within_limit(thread: ThreadPoolExecutor, state: Callable[[], str]) -> str:
    """ "unavailable" if the part does not answer in time."""
    asking = asyncio.get_running_loop().run_in_executor(thread, state)
    try:
        return await asyncio.wait_for(asking, PART_SECONDS)
    except TimeoutError:
        return "unavailable"


def _database_state() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unavailable"
    finally:
        close_connection()
    return "available"
