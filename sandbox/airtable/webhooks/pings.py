"""Telling a hook's notificationUrl that there is something new.

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

from sandbox.airtable.cells import iso_time
from sandbox.airtable.tables import utc_now
from sandbox.airtable.webhooks.feed import Webhooks
from sandbox.airtable.webhooks.hook import Webhook

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_SLEEP = 3600.0
logger = logging.getLogger(__name__)


class Pinger:
    """Runs in the server's event loop, from the sandbox's start to its stop."""

    def __init__(self, webhooks: Webhooks) -> None:
        self.webhooks = webhooks
        self._client = _client()  # takes its time, which the first request shall not wait for

    async def run(self) -> None:
        wanted = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.webhooks.wake = lambda: _set(loop, wanted)
        try:
            async with self._client as client, asyncio.TaskGroup() as group:
                while True:
                    wanted.clear()
                    for hook, noted in self._take_due():
                        group.create_task(self._ping(client, hook, noted=noted))
                    # not wait_for: Python 3.11's loses a cancellation that meets the event
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._seconds_to_next()):
                            await wanted.wait()
        except Exception:
            logger.exception("The sandbox sends no more pings")
            raise
        finally:
            self.webhooks.wake = lambda: None
            self._let_go()

    def _take_due(self) -> Iterator[tuple[Webhook, bool]]:
        """A hook for each ping to send now, and whether its result counts."""
        for hook in self.webhooks.all():
            with hook.base.lock:
                extra, hook.ping.extra = hook.ping.extra, 0
                due = self._is_due(hook)
                if due:
                    hook.ping.due_at = None
                if self.webhooks.settings.drop_pings:
                    continue
                hook.ping.under_way = hook.ping.under_way or due
            yield from [(hook, False)] * extra + [(hook, True)] * due

    def _is_due(self, hook: Webhook) -> bool:
        due_at = hook.ping.due_at
        return due_at is not None and not hook.ping.under_way and due_at <= self.webhooks.clock()

    def _seconds_to_next(self) -> float:
        waiting = [h.ping.due_at for h in self.webhooks.all() if not h.ping.under_way]
        left = [at - self.webhooks.clock() for at in waiting if at is not None]
        seconds = self.webhooks.clock.real_seconds(min(left, default=LONGEST_SLEEP))
        return min(max(seconds, 0.0), LONGEST_SLEEP)

    async def _ping(self, client: httpx.AsyncClient, hook: Webhook, *, noted: bool) -> None:
        began = time.monotonic()
        problem = await self._problem(client, hook)
        if noted:
            with hook.base.lock:
                self._note(hook, problem, time.monotonic() - began)
            self.webhooks.wake()

    async def _problem(self, client: httpx.AsyncClient, hook: Webhook) -> str:
        """Why the ping failed; nothing when it did not."""
        try:
            async with asyncio.timeout(self.webhooks.settings.ping_timeout):
                return await _post(client, hook)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return str(error) or type(error).__name__

    def _note(self, hook: Webhook, problem: str, seconds: float) -> None:
        settings, state = self.webhooks.settings, hook.ping
        again = bool(problem) and state.retry_number < settings.ping_retries
        state.under_way = False
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
        state.last_result |= {"willBeRetried": again, "error": {"message": problem}}
        if again and hook.notifications_enabled:
            wait: float = settings.first_retry * 2**state.retry_number
            state.due_at = self.webhooks.clock() + wait
            state.retry_number += 1
            return
        hook.notifications_enabled = False
        state.forget()

    def _let_go(self) -> None:
        """A ping that the stop cut off is sent again after the next start."""
        for hook in self.webhooks.all():
            with hook.base.lock:
                if hook.ping.under_way:
                    hook.ping.under_way = False
                    hook.ping.want(self.webhooks.clock())


def _client() -> httpx.AsyncClient:
    """Each ping has one limit for all of it, and a connection of its own that cannot be stale."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(verify=_trusted(), trust_env=False, timeout=None, limits=limits)  # noqa: S113


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


async def _post(client: httpx.AsyncClient, hook: Webhook) -> str:
    url = httpx.URL(hook.notification_url or "")
    if url.host not in LOOPBACK:
        return "The sandbox pings this machine only"
    body = json.dumps(
        {
            "base": {"id": hook.base.id},
            "webhook": {"id": hook.id},
            "timestamp": iso_time(utc_now()),
        }
    ).encode()
    headers = {"Content-Type": "application/json", "X-Airtable-Content-MAC": mac(hook.secret, body)}
    answer = await client.post(url, content=body, headers=headers)
    if answer.status_code not in (200, 204) or answer.content:
        return f"The answer was not an empty 200 or 204 (status {answer.status_code})"
    return ""


def mac(secret: bytes, body: bytes) -> str:
    return f"hmac-sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _set(loop: asyncio.AbstractEventLoop, wanted: asyncio.Event) -> None:
    """From any thread, also while the loop ends."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(wanted.set)
