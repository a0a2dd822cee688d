"""Sends the requests that a platform needs beside the response to its webhook: each once, however
often and to however many processes the platform sends its event."""

import asyncio
import hashlib
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Literal, Protocol

from airtable_sync.redis_client.connection import CacheUnavailable, RedisConnection
from webhooks.follow_up_request import CONNECT_SECONDS, Result, send_request
from webhooks.platforms.base import FollowUp

logger = logging.getLogger(__name__)

THREADS = 32  # of a process, each for one request
MAX_KEPT = 2000  # events that a process knows; about 1 KB each
PAUSE_SECONDS = 0.3  # before a request is repeated
MIN_REPEAT_SECONDS = 0.5  # in less time there is no answer
POLL_SECONDS = 0.2  # how often a lease of another process is looked at
LEASE_MARGIN_SECONDS = CONNECT_SECONDS + 1  # above the time that two requests may take
DONE = "done"
DONE_SECONDS = 3600  # a call does not ring longer, and a repeated event gets its 200 sooner

# `repeated`: another process has sent it. `pending`: it is still being sent.
Outcome = Literal["sent", "failed", "unknown", "repeated", "pending"]


class FollowUpCounters(Protocol):
    def follow_up_ended(self, *, failed: bool) -> None: ...


class FollowUps:
    """One for each process. `redis` is None where there is none: then a process only knows what it
    sent itself. Call `send` in the event loop's thread only."""

    def __init__(
        self, redis: RedisConnection | None, counters: FollowUpCounters, threads: int = THREADS
    ) -> None:
        self._redis = redis
        self._counters = counters
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="follow-up")
        self._free_threads = threading.BoundedSemaphore(threads)
        self._known: OrderedDict[str, Future[Outcome]] = OrderedDict()

    def count_in(self, counters: FollowUpCounters) -> None:
        """From now on: another mapping is in force, and has other counters."""
        self._counters = counters

    async def send(self, follow_up: FollowUp, seconds: float) -> Outcome:
        """Waits for the result, but at most so long. An event that is sent again waits for the
        same result. It is tried again only if it has failed."""
        future = self._known.get(follow_up.key)
        if future is None or (future.done() and future.result() == "failed"):
            future = self._start(follow_up, seconds)
        if future is None:
            return "failed"
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
        except TimeoutError:
            return "pending"

    def _start(self, follow_up: FollowUp, seconds: float) -> Future[Outcome] | None:
        """None if all threads are busy, or if the system has no more."""
        if not self._free_threads.acquire(blocking=False):
            self._report(
                follow_up, Result("failed", f"{self._threads} other requests are not answered yet.")
            )
            return None
        try:
            future = self._executor.submit(self._run, follow_up, seconds)
        except RuntimeError as error:
            self._free_threads.release()
            self._report(follow_up, Result("failed", f"no thread can be started ({error})."))
            return None
        future.add_done_callback(lambda _: self._free_threads.release())
        self._known[follow_up.key] = future
        self._known.move_to_end(follow_up.key)
        while len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)
        return future

    def _run(self, follow_up: FollowUp, seconds: float) -> Outcome:
        """In a thread of its own. Never raises."""
        try:
            lease = Lease(self._redis, follow_up.key, seconds)
            if not lease.acquire():
                return "repeated"
            result = _send_twice_at_most(follow_up, seconds)
            self._report(follow_up, result)
            lease.end(is_done=result.outcome != "failed")
        except Exception:
            logger.exception("%s could not be asked to %s", follow_up.recipient, follow_up.purpose)
            self._counters.follow_up_ended(failed=True)
            return "failed"
        return result.outcome

    def _report(self, follow_up: FollowUp, result: Result) -> None:
        self._counters.follow_up_ended(failed=result.outcome != "sent")
        if result.outcome == "sent":
            return
        verb = "may have failed to" if result.outcome == "unknown" else "did not"
        logger.error("%s %s %s: %s", follow_up.recipient, verb, follow_up.purpose, result.problem)


def _send_twice_at_most(follow_up: FollowUp, seconds: float) -> Result:
    """Repeated only if the first request was certainly not carried out."""
    until = time.monotonic() + seconds
    result = send_request(follow_up, seconds)
    left = until - time.monotonic() - PAUSE_SECONDS
    if not result.may_repeat or left < MIN_REPEAT_SECONDS:
        return result
    time.sleep(PAUSE_SECONDS)
    return send_request(follow_up, left)


class Lease:
    """Keeps other processes from sending the same request. It expires if its process dies: then
    the next process that has the event sends the request."""

    def __init__(self, redis: RedisConnection | None, key: str, seconds: float) -> None:
        self._redis = redis
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        self._name = f"follow_up:{digest[:32]}"
        self._token = secrets.token_hex(8)
        self._seconds = math.ceil(seconds + LEASE_MARGIN_SECONDS)

    def acquire(self) -> bool:
        """Waits while another process holds it: OpenAI does not send an event again that got its
        200, so the result must be known before. False if the request has been sent."""
        if not self._redis:
            return True
        until = time.monotonic() + self._seconds + 1
        was_held = False
        try:
            while not self._redis.acquire_lease(self._name, self._token, self._seconds):
                was_held = True
                if self._redis.get(self._name) == DONE or time.monotonic() > until:
                    return False
                time.sleep(POLL_SECONDS)
        except CacheUnavailable:
            return not was_held
        return True

    def end(self, *, is_done: bool) -> None:
        """Done: the request is not sent again. Otherwise the next event may try it again."""
        if not self._redis:
            return
        with suppress(CacheUnavailable):
            if is_done:
                self._redis.set(self._name, DONE, DONE_SECONDS)
            else:
                self._redis.release_lease(self._name, self._token)
