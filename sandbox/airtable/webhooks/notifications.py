"""Sends change notifications to the webhooks' notificationUrl.

https://airtable.com/developers/web/api/webhooks-overview#webhook-notification-delivery
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import ssl
import time
from collections.abc import Iterator
from functools import cache

import httpx

from sandbox.airtable.common.clock import iso_time, utc_now
from sandbox.airtable.webhooks.registry import Webhooks
from sandbox.airtable.webhooks.webhook import Webhook

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_SLEEP_SECONDS = 3600.0
logger = logging.getLogger(__name__)


class NotificationSender:
    """Runs in the server's event loop, from the sandbox's start to its stop."""

    def __init__(self, webhooks: Webhooks) -> None:
        self.webhooks = webhooks
        self._client = _client()  # made here because it is slow; requests must not wait for it

    async def run(self) -> None:
        work = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.webhooks.on_due = lambda: _set(loop, work)
        try:
            async with self._client as client, asyncio.TaskGroup() as group:
                while True:
                    work.clear()
                    for webhook, is_stored in self._take_due():
                        group.create_task(self._notify(client, webhook, is_stored=is_stored))
                    # Not wait_for: in Python 3.11 it can lose a cancellation.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._seconds_to_next()):
                            await work.wait()
        except Exception:
            logger.exception("The sandbox stopped sending notifications")
            raise
        finally:
            self.webhooks.on_due = lambda: None
            self._reschedule_interrupted()

    def _take_due(self) -> Iterator[tuple[Webhook, bool]]:
        """One item per notification to send now: its webhook, and whether its result is stored."""
        for webhook in self.webhooks.all():
            state = webhook.notification
            with webhook.base.lock:
                extra, state.extra = state.extra, 0
                due = self._is_due(webhook)
                if due:
                    state.due_at = None
                if self.webhooks.settings.drop_notifications:
                    continue
                state.in_progress = state.in_progress or due
            yield from [(webhook, False)] * extra + [(webhook, True)] * due

    def _is_due(self, webhook: Webhook) -> bool:
        due_at, in_progress = webhook.notification.due_at, webhook.notification.in_progress
        return due_at is not None and not in_progress and due_at <= self.webhooks.clock()

    def _seconds_to_next(self) -> float:
        states = [each.notification for each in self.webhooks.all()]
        waiting = [state.due_at for state in states if not state.in_progress]
        left = [due_at - self.webhooks.clock() for due_at in waiting if due_at is not None]
        seconds = self.webhooks.clock.real_seconds(min(left, default=MAX_SLEEP_SECONDS))
        return min(max(seconds, 0.0), MAX_SLEEP_SECONDS)

    async def _notify(
        self, client: httpx.AsyncClient, webhook: Webhook, *, is_stored: bool
    ) -> None:
        started = time.monotonic()
        problem = await self._send(client, webhook)
        if is_stored:
            with webhook.base.lock:
                self._store_result(webhook, problem, time.monotonic() - started)
            self.webhooks.wake()

    async def _send(self, client: httpx.AsyncClient, webhook: Webhook) -> str:
        """Why the notification failed, or "" if it arrived."""
        try:
            async with asyncio.timeout(self.webhooks.settings.notification_timeout):
                return await _post(client, webhook)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return str(error) or type(error).__name__

    def _store_result(self, webhook: Webhook, problem: str, seconds: float) -> None:
        settings, state = self.webhooks.settings, webhook.notification
        has_retry = bool(problem) and state.retry_number < settings.notification_retries
        state.in_progress = False
        state.last_result = {
            "success": not problem,
            "completionTimestamp": iso_time(utc_now()),
            "durationMs": round(seconds * 1000, 3),
            "retryNumber": state.retry_number,
        }
        if not problem:
            state.last_success = state.last_result["completionTimestamp"]
            state.retry_number = 0
            return
        state.last_result |= {"willBeRetried": has_retry, "error": {"message": problem}}
        if has_retry and webhook.notifications_enabled:
            wait: float = settings.first_retry * 2**state.retry_number
            state.due_at = self.webhooks.clock() + wait
            state.retry_number += 1
            return
        webhook.notifications_enabled = False
        state.cancel()

    def _reschedule_interrupted(self) -> None:
        """The next start sends the notifications that the stop interrupted."""
        for webhook in self.webhooks.all():
            with webhook.base.lock:
                if webhook.notification.in_progress:
                    webhook.notification.in_progress = False
                    webhook.notification.schedule(self.webhooks.clock())


def _client() -> httpx.AsyncClient:
    """Without timeouts, because _send() limits the total time. Without keep-alive, because an idle
    connection may be closed when the next notification is sent."""
    limits = httpx.Limits(max_keepalive_connections=0)
    no_timeout = httpx.Timeout(None)
    return httpx.AsyncClient(verify=_tls(), trust_env=False, timeout=no_timeout, limits=limits)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


async def _post(client: httpx.AsyncClient, webhook: Webhook) -> str:
    url = httpx.URL(webhook.notification_url or "")
    if url.host not in LOOPBACK:
        return "The sandbox sends notifications to this machine only"
    body = json.dumps(
        {
            "base": {"id": webhook.base.id},
            "webhook": {"id": webhook.id},
            "timestamp": iso_time(utc_now()),
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Airtable-Content-MAC": mac(webhook.secret, body),
    }
    response = await client.post(url, content=body, headers=headers)
    if response.status_code not in (200, 204) or response.content:
        return f"The response was not an empty 200 or 204 (status {response.status_code})"
    return ""


def mac(secret: bytes, body: bytes) -> str:
    return f"hmac-sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Works from any thread, also while the loop closes."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)
