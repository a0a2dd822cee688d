"""Airtable's change notifications: "something changed", and no more.
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

from django.db import DatabaseError

from airtable_sync.cache.database import close_connection
from airtable_sync.changes.follower import ChangeFeedFollower
from airtable_sync.changes.shared_state import NOTIFICATION_KEPT_SECONDS, SharedFeedState
from airtable_sync.models import ChangeFeed
from airtable_sync.redis_client.connection import CacheUnavailable
from siftly.server import strict_json
from siftly.server.http import Request, Response, error_response

logger = logging.getLogger(__name__)

DATABASE_SECONDS = 5.0
READ_SECRET_SECONDS = 1.0  # a forged notification must not cost a query each time
THREADS = 2
_MAC_PREFIX = "hmac-sha256="


class NotificationReceiver:
    """Answers POST /airtable/changes/."""

    def __init__(
        self,
        base_id: str,
        shared: SharedFeedState,
        follower: ChangeFeedFollower,
        *,
        enabled: bool,
    ) -> None:
        self._base_id = base_id
        self._shared = shared
        self._follower = follower
        self._enabled = enabled
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="change-notification")
        self._secret = b""
        self._secret_read_at = float("-inf")
        self._reading: asyncio.Future[bytes] | None = None

    async def receive(self, request: Request, body: bytes) -> Response:
        if not self._enabled:
            return error_response(404, "AIRTABLE_CHANGES is not push.")
        if request.method != "POST":
            refused = error_response(405, "Change notifications are sent with POST.")
            refused.headers.append((b"allow", b"POST"))
            return refused
        mac = request.headers.get("X-Airtable-Content-MAC", "")
        try:
            if not await self._is_authentic(mac, body):
                return error_response(401, "The MAC is missing or wrong.")
        except (DatabaseError, TimeoutError) as error:
            logger.warning("The MAC secret can't be read: %s", error or "timeout")
            return error_response(503, "Try again later.")  # Airtable does, for a day
        if (notification := _parse(body)) is None:
            return error_response(400, "The body is not a change notification of Airtable.")
        if not _is_outdated(notification):
            asyncio.get_running_loop().run_in_executor(self._threads, self._notify_leader, mac)
        return Response(status=204)

    async def _is_authentic(self, mac: str, body: bytes) -> bool:
        if not mac.startswith(_MAC_PREFIX) or not mac.isascii():
            return False
        if _matches(self._secret, mac, body):
            return True
        was_just_read = time.monotonic() - self._secret_read_at < READ_SECRET_SECONDS
        if not self._is_reading() and was_just_read:
            return False
        self._secret = await asyncio.wait_for(self._read_secret(), DATABASE_SECONDS)
        return _matches(self._secret, mac, body)

    def _is_reading(self) -> bool:
        return self._reading is not None and not self._reading.done()

    def _read_secret(self) -> asyncio.Future[bytes]:
        """One query for all notifications that wait for the secret."""
        if self._reading is None or self._reading.done():
            self._secret_read_at = time.monotonic()
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._threads, self._secret_in_database)
        return asyncio.shield(self._reading)

    def _secret_in_database(self) -> bytes:
        try:
            return base64.b64decode(ChangeFeed.for_base(self._base_id).mac_secret)
        except binascii.Error:
            return b""
        finally:
            close_connection()

    def _notify_leader(self, mac: str) -> None:
        try:
            if not self._shared.notify_leader(hashlib.sha256(mac.encode()).hexdigest()[:32]):
                return  # it came before
            redis_is_down = False
        except CacheUnavailable as error:
            logger.warning("The change notification can't be passed on yet: %s", error)
            redis_is_down = True
        self._follower.change_notified(redis_is_down=redis_is_down)


def _matches(secret: bytes, mac: str, body: bytes) -> bool:
    """In constant time, over the raw bytes."""
    expected = _MAC_PREFIX + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, mac) and bool(secret)


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body, **strict_json.OPTIONS)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("webhook"), dict) else None


def _is_outdated(notification: dict[str, Any]) -> bool:
    """Airtable does not repeat a notification for so long: an old one is a replay."""
    try:
        sent_at = datetime.fromisoformat(notification["timestamp"])
        return (datetime.now(UTC) - sent_at).total_seconds() > NOTIFICATION_KEPT_SECONDS
    except (KeyError, TypeError, ValueError):
        return False
