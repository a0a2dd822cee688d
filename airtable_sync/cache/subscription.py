"""Keeps the replica in step: one thread a process, started after the server has forked.

A nudge is a hint, the index is the truth: it is compared at every subscription, which is also what
shows that a connection was lost, after every nudge, every half minute, and after every error. A
connection that says nothing is not trusted: it has to answer a PING within a deadline of its own,
since neither redis-py nor TCP notices a peer that is gone without a word."""

import contextlib
import gc
import logging
import random
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from redis.exceptions import RedisError

from airtable_sync.cache.redis_store import FAILED, LEADERLESS, PINGED, CacheUnavailable
from airtable_sync.cache.replica import Replica

logger = logging.getLogger(__name__)

PING_SECONDS = 0.5
SILENCE_SECONDS = 1.5  # without any word from Redis, the connection is given up
RECONNECT_SECONDS = 0.5
COMPARE_SECONDS = 30.0


class Subscription:
    def __init__(
        self,
        replica: Replica,
        on_failed: Callable[[Collection[str]], None] = lambda _: None,
        on_ping: Callable[[], None] = lambda: None,
        on_leaderless: Callable[[], None] = lambda: None,
    ) -> None:
        self.replica = replica
        self.on_failed, self.on_ping, self.on_leaderless = on_failed, on_ping, on_leaderless
        self.first_load_ended = threading.Event()
        self.connected = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with contextlib.closing(self.replica.store.pubsub()) as pubsub:
                    self._listen(pubsub)
            except (CacheUnavailable, RedisError, OSError) as error:
                self._lost(error)
            except Exception as error:
                logger.exception("The replica's thread goes on after an unforeseen error")
                self._lost(error)
            self.first_load_ended.set()
            self._stopping.wait(RECONNECT_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311

    def _lost(self, error: Exception) -> None:
        if self.connected or not self.first_load_ended.is_set():
            logger.warning(
                "The copy of %d entries is served without Redis: %s", len(self.replica), error
            )
        self.connected = self.replica.in_sync = False

    def _listen(self, pubsub: Any) -> None:
        """Until the connection fails, which raises."""
        heard_at = pinged_at = time.monotonic()
        compare_at = 0.0
        while not self._stopping.is_set():
            kind, text = _next(pubsub, PING_SECONDS)
            now = time.monotonic()
            if not kind and now - heard_at > SILENCE_SECONDS:
                raise CacheUnavailable("Redis is silent.")
            if kind == "message" and text.startswith(FAILED):
                self.on_failed(text.removeprefix(FAILED).split(","))
            elif kind == "message" and text == PINGED:
                self.on_ping()
            elif kind == "message" and text == LEADERLESS:
                self.on_leaderless()
            elif kind == "message" and self._is_news(text):
                self._compare()
            elif kind == "subscribe" or now >= compare_at:
                # After a connection was lost, Redis may be an older copy of itself.
                self._compare(whole=kind == "subscribe")
                self.replica.prune()
                compare_at = now + COMPARE_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311
            if kind:
                heard_at = time.monotonic()  # a comparison may have taken its time
            if now - pinged_at >= PING_SECONDS:
                pubsub.ping()
                pinged_at = now

    def _is_news(self, text: str) -> bool:
        """Not a change that was already seen when an earlier nudge was followed."""
        epoch, _, sequence = text.partition(":")
        return not sequence.isdecimal() or self.replica.lacks(epoch, int(sequence))

    def _compare(self, *, whole: bool = False) -> None:
        self.replica.sync(whole=whole)
        if not self.first_load_ended.is_set():
            gc.freeze()  # what is kept for long need not be looked through by every collection
        if not self.connected:
            logger.info("In step with Redis: a copy of %d entries", len(self.replica))
        self.connected = True
        self.first_load_ended.set()


def _next(pubsub: Any, seconds: float) -> tuple[str, str]:
    """The kind and text of the next message; empty if there is none in time."""
    message = pubsub.get_message(timeout=seconds)
    if message is None:
        return "", ""
    data = message["data"]
    return message["type"], data.decode() if isinstance(data, bytes) else str(data)
