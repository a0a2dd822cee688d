"""Airtable's pings: something changed, come and read. They carry nothing else.
https://airtable.com/developers/web/api/model/webhooks-notification"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from airtable_sync.cache import database
from airtable_sync.cache.redis_store import PATIENT, CacheUnavailable
from airtable_sync.changes import shared_state
from airtable_sync.changes.follower import Watcher
from airtable_sync.models import ChangeFeed
from siftly.server.http import Request, Response, refusal

logger = logging.getLogger(__name__)

DATABASE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 1.0  # a forged ping must not cost a query each
_PREFIX = "hmac-sha256="
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ping")


class Pings:
    """Of this process."""

    def __init__(self) -> None:
        self.watcher: Watcher | None = None  # of this process; told of each authentic, new ping
        self._secret = b""
        self._looked_at = float("-inf")
        self._looking: asyncio.Future[bytes] | None = None

    async def received(self, request: Request, body: bytes) -> Response:
        """POST /airtable/changes/."""
        if settings.AIRTABLE_CHANGES != "push":
            return refusal(404, "Changes are not pushed here.")
        if request.method != "POST":
            refused = refusal(405, "Airtable pings with POST.")
            refused.headers.append((b"allow", b"POST"))
            return refused
        mac = request.headers.get("X-Airtable-Content-MAC", "")
        try:
            if not await self._is_authentic(mac, body):
                return refusal(401, "The MAC is missing or wrong.")
        except (DatabaseError, TimeoutError) as error:
            logger.warning("The hook's secret can't be read: %s", error or "it takes too long")
            return refusal(503, "Try again.")  # Airtable does, for a day
        if (ping := _ping(body)) is None:
            return refusal(400, "The body is not what Airtable sends.")
        if not _is_outdated(ping):
            asyncio.get_running_loop().run_in_executor(_THREADS, self._follow, mac)
        return Response(status=204)

    async def _is_authentic(self, mac: str, body: bytes) -> bool:
        if not mac.startswith(_PREFIX) or not mac.isascii():
            return False
        if _fits(self._secret, mac, body):
            return True
        if not self._is_being_read() and time.monotonic() - self._looked_at < LOOK_AGAIN_SECONDS:
            return False
        self._secret = await asyncio.wait_for(self._reading(), DATABASE_SECONDS)
        return _fits(self._secret, mac, body)

    def _is_being_read(self) -> bool:
        return self._looking is not None and not self._looking.done()

    def _reading(self) -> asyncio.Future[bytes]:
        """One for all pings that wait for the secret."""
        if self._looking is None or self._looking.done():
            self._looked_at = time.monotonic()
            self._looking = asyncio.get_running_loop().run_in_executor(_THREADS, _secret)
        return asyncio.shield(self._looking)

    def _follow(self, mac: str) -> None:
        try:
            if not shared_state.pinged(PATIENT, hashlib.sha256(mac.encode()).hexdigest()[:32]):
                return  # it was here before
            untold = False
        except CacheUnavailable as error:
            logger.warning("The ping can't be passed on yet: %s", error)
            untold = True
        if self.watcher:
            self.watcher.wake(untold=untold)


def _secret() -> bytes:
    try:
        return base64.b64decode(ChangeFeed.of_this_base().secret)
    except binascii.Error:
        return b""
    finally:
        database.release()


def _fits(secret: bytes, mac: str, body: bytes) -> bool:
    """In constant time, over the raw bytes."""
    expected = _PREFIX + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, mac) and bool(secret)


def _ping(body: bytes) -> dict[str, Any] | None:
    try:
        ping = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return ping if isinstance(ping, dict) and isinstance(ping.get("webhook"), dict) else None


def _is_outdated(ping: dict[str, Any]) -> bool:
    """Older than Airtable repeats one for: it is remembered no longer, and whoever sends it does so
    once more."""
    try:
        moment = datetime.fromisoformat(ping["timestamp"])
        return (datetime.now(UTC) - moment).total_seconds() > shared_state.PING_REMEMBERED_SECONDS
    except (KeyError, TypeError, ValueError):
        return False


PINGS = Pings()
