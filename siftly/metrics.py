"""GET /metrics: the Prometheus metrics, for clients that have the token."""

import asyncio
import hmac
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST

from airtable_sync.monitoring.export.prometheus import PrometheusExport
from siftly.server.http import Request, Response

REDIS_SECONDS = 2.0
THREADS = 2


class MetricsEndpoint:
    def __init__(self, export: PrometheusExport, token: str) -> None:
        """Without a token the endpoint does not exist."""
        self._export = export
        self._token = token
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="metrics")

    async def respond(self, request: Request) -> Response:
        if not self._token:
            return Response(b"METRICS_TOKEN is not set.", 404)
        if request.method not in ("GET", "HEAD"):
            return Response(status=405, headers=[(b"allow", b"GET, HEAD")])
        if not self._is_authorized(request.headers.get("Authorization", "")):
            return Response(status=401, headers=[(b"www-authenticate", b"Bearer")])
        return Response(await self._text(), content_type=CONTENT_TYPE_LATEST.encode())

    def _is_authorized(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        is_equal = hmac.compare_digest(token.strip().encode(), self._token.encode())
        return is_equal and scheme.lower() == "bearer"

    async def _text(self) -> bytes:
        """Of all processes; of this one if Redis does not answer in time."""
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(self._threads, self._export.text)
        try:
            return await asyncio.wait_for(reading, REDIS_SECONDS)
        except TimeoutError:
            return await asyncio.to_thread(partial(self._export.text, ask_redis=False))
