"""GET /metrics: Prometheus text, for who has the token."""

import asyncio
import hmac
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST

from airtable_sync.monitoring.metrics.prometheus import exposition
from siftly.server.http import Request, Response

logger = logging.getLogger(__name__)

REDIS_SECONDS = 2.0
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="metrics")


async def metrics(request: Request) -> Response:
    if not settings.METRICS_TOKEN:
        return Response(b"METRICS_TOKEN is not set.", 404)
    if request.method not in ("GET", "HEAD"):
        return Response(status=405, headers=[(b"allow", b"GET, HEAD")])
    if not _is_allowed(request.headers.get("Authorization", "")):
        return Response(status=401, headers=[(b"www-authenticate", b"Bearer")])
    return Response(await _text(), content_type=CONTENT_TYPE_LATEST.encode())


def _is_allowed(header: str) -> bool:
    scheme, _, token = header.partition(" ")
    expected = (settings.METRICS_TOKEN or "").encode()
    return hmac.compare_digest(token.strip().encode(), expected) and scheme.lower() == "bearer"


async def _text() -> bytes:
    """Of all processes; of this one alone if Redis does not answer in time."""
    reading = asyncio.get_running_loop().run_in_executor(_THREADS, exposition)
    try:
        return await asyncio.wait_for(reading, REDIS_SECONDS)
    except TimeoutError:
        return await asyncio.to_thread(partial(exposition, ask_redis=False))
