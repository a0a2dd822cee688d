"""GET /metrics: Prometheus text, for who has the token."""

import asyncio
import hmac
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST

from airtable_sync.telemetry.prometheus import exposition

logger = logging.getLogger(__name__)

REDIS_SECONDS = 2.0
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="metrics")


async def metrics(request: HttpRequest) -> HttpResponse:
    if not settings.METRICS_TOKEN:
        return HttpResponse("METRICS_TOKEN is not set.", status=404, content_type="text/plain")
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    if not _is_allowed(request.headers.get("Authorization", "")):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(await _text(), content_type=CONTENT_TYPE_LATEST)


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
