"""Keeps the replica in sync with Redis, in one thread per process.

A notification is only a hint. The index decides: the replica is compared with it after each
subscription (which follows each lost connection), after each notification, every half minute, and
after each error. A connection without messages may be broken: Redis has to answer a PING, because
neither redis-py nor TCP notices a peer that disappeared."""

import contextlib
import gc
import logging
import random
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from redis.exceptions import RedisError

from airtable_sync.cache.keys import CHANGE_NOTIFIED, LOOKUP_FAILED, MAPPING_SAVED, NO_LEADER
from airtable_sync.cache.replica import Replica
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.redis_client.errors import sentence

logger = logging.getLogger(__name__)

PING_SECONDS = 0.5
SILENCE_SECONDS = 1.5  # without any message the connection is closed
RECONNECT_SECONDS = 0.5
COMPARE_SECONDS = 30.0


class ReplicaSubscription:
    """`on_lookup_failed` gets numbers, the others nothing. `on_subscribed`: messages may have been
    lost before. They run in this thread and must not wait."""

    def __init__(
        self,
        replica: Replica,
        on_lookup_failed: Callable[[Collection[str]], None] = lambda _: None,
        on_change_notified: Callable[[], None] = lambda: None,
        on_no_leader: Callable[[], None] = lambda: None,
        on_subscribed: Callable[[], None] = lambda: None,
        on_mapping_saved: Callable[[], None] = lambda: None,
    ) -> None:
        self.replica = replica
        self._on_lookup_failed = on_lookup_failed
        self._on_change_notified = on_change_notified
        self._on_no_leader = on_no_leader
        self._on_subscribed = on_subscribed
        self._on_mapping_saved = on_mapping_saved
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
                with contextlib.closing(self.replica.store.subscribe()) as pubsub:
                    self._listen(pubsub)
            except CacheUnavailable as error:
                self._connection_lost(str(error))
            except (RedisError, OSError) as error:
                self._connection_lost(sentence(error))
            except Exception as error:
                logger.exception("The replica's thread continues after an unexpected error")
                self._connection_lost(str(error))
            self.first_load_ended.set()
            self._stopping.wait(RECONNECT_SECONDS * random.uniform(0.5, 1.0))

    def _connection_lost(self, reason: str) -> None:
        if self.connected or not self.first_load_ended.is_set():
            logger.warning(
                "Redis does not answer; %d entries are served from memory: %s",
                len(self.replica),
                reason,
            )
        self.connected = self.replica.in_sync = False

    def _listen(self, pubsub: Any) -> None:
        """Handle messages until the connection fails, which raises."""
        last_message_at = last_ping_at = time.monotonic()
        compare_at = 0.0
        while not self._stopping.is_set():
            kind, text = _next_message(pubsub, PING_SECONDS)
            now = time.monotonic()
            if not kind and now - last_message_at > SILENCE_SECONDS:
                raise CacheUnavailable(f"Redis has sent nothing for {SILENCE_SECONDS} s.")
            if kind == "message":
                self._handle_message(text)
            elif kind == "subscribe" or now >= compare_at:
                if kind == "subscribe":
                    # After a lost connection Redis may be an older copy of itself.
                    self._compare(lambda: self.replica.sync(reload=True))
                    self._on_subscribed()
                else:
                    self._compare(self.replica.sync_if_changed)
                self.replica.prune()
                compare_at = now + COMPARE_SECONDS * random.uniform(0.9, 1.1)
            if kind:
                last_message_at = time.monotonic()  # a comparison may have taken long
            if now - last_ping_at >= PING_SECONDS:
                pubsub.ping()
                last_ping_at = now

    def _handle_message(self, text: str) -> None:
        if text.startswith(LOOKUP_FAILED):
            self._on_lookup_failed(text.removeprefix(LOOKUP_FAILED).split(","))
        elif text == CHANGE_NOTIFIED:
            self._on_change_notified()
        elif text == NO_LEADER:
            self._on_no_leader()
        elif text == MAPPING_SAVED:
            self._on_mapping_saved()
        elif self._is_new(text):
            self._compare(self.replica.sync)

    def _is_new(self, text: str) -> bool:
        """False for a change that an earlier comparison has included."""
        epoch, _, sequence = text.partition(":")
        return not sequence.isdecimal() or self.replica.lacks(epoch, int(sequence))

    def _compare(self, compare: Callable[[], None]) -> None:
        compare()
        if not self.first_load_ended.is_set():
            gc.freeze()  # the garbage collector need not look at long-lived entries again
        if not self.connected:
            logger.info("In sync with Redis: %d entries", len(self.replica))
        self.connected = True
        self.first_load_ended.set()


def _next_message(pubsub: Any, seconds: float) -> tuple[str, str]:
    """The kind and the text of the next message; empty if none came in time."""
    message = pubsub.get_message(timeout=seconds)
    if message is None:
        return "", ""
    data = message["data"]
    return message["type"], data.decode() if isinstance(data, bytes) else str(data)
