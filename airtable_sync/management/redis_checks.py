"""What `check_cache` tries on the configured Redis: everything that Siftly needs of it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from airtable_sync.cache import keys
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.entry_set import EntrySet
from airtable_sync.cache.publish_target import Publication
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.cache.redis_target import EVICTION_REMEDY, RedisTarget
from airtable_sync.changes import shared_state
from airtable_sync.changes.shared_state import SharedFeedState
from airtable_sync.lookup.leases import LookupLeases
from airtable_sync.management.redis_commands import NAMES, try_commands
from airtable_sync.redis_client.errors import sentence
from airtable_sync.redis_client.namespace import Namespace
from airtable_sync.redis_client.server_info import NO_EVICTION, readable_size
from airtable_sync.refresh.other_deployments import REMEDY, description
from airtable_sync.services import Services

EXPIRES_IN_SECONDS = 0.05
MESSAGE_SECONDS = 3.0
OLDEST_REDIS = (6, 2)  # it has GETEX, SMISMEMBER, and ZADD's GT
NUMBER = "+10000000000"  # of the trial entry


class CheckFailed(Exception):
    """The message says how, and what to do."""


class CheckWarning(Exception):
    """Siftly works, but the message says what somebody should change."""


@dataclass(frozen=True, slots=True)
class Check:
    """`run` returns a detail, or raises CheckWarning, CheckFailed, CacheUnavailable or another
    error of Siftly. The checks after a failed one that is `required` would only repeat it."""

    name: str
    run: Callable[[], str]
    required: bool = False


class RedisChecks:
    def __init__(self, used: Services) -> None:
        self._used = used
        self._store = used.command_store
        self._name, self._value = f"check:{secrets.token_hex(8)}", secrets.token_hex(8)

    def all(self) -> list[Check]:
        return [
            Check("redis connection", self._connect, required=True),
            Check("redis set", self._set, required=True),
            Check("redis get and compare", self._get),
            Check("redis expire", self._expire),
            Check("redis commands", self._run_commands),
            Check("redis scripts", self._run_scripts),
            Check("redis channel", self._use_channel),
            Check("redis policy", self._read_policy),
            Check("redis memory", self._read_memory),
            Check("other deployments", self._find_others),
        ]

    def _connect(self) -> str:
        self._store.now()
        info, security = self._store.server_info(), self._store.connection_security()
        if info.is_older_than(OLDEST_REDIS):
            raise CheckFailed(f"{info.product} {info.version} is too old: use Redis 6.2 or newer.")
        if security == "exposed":
            raise CheckFailed(
                "The connection crosses the internet without encryption. Use an address that "
                "starts with rediss://, or a private one."
            )
        product = f"{info.product} {info.version}" if info.version else "Redis, version not told"
        return f"{product}, {'with TLS' if security == 'encrypted' else 'without TLS'}"

    def _set(self) -> str:
        self._store.set(self._name, self._value, 60)
        return ""

    def _get(self) -> str:
        if self._store.get(self._name) != self._value:
            raise CheckFailed("Redis does not return what was written. Use another service.")
        return ""

    def _expire(self) -> str:
        self._store.set(self._name, self._value, EXPIRES_IN_SECONDS)
        time.sleep(2 * EXPIRES_IN_SECONDS)
        if self._store.get(self._name) is not None:
            raise CheckFailed("Redis keeps a value that should have expired. Use another service.")
        return ""

    def _run_commands(self) -> str:
        try_commands(self._trial())
        return f"{len(NAMES)} commands"

    def _trial(self) -> RedisStore:
        """In a namespace of its own."""
        base_id, name = self._store.namespace.base_id, self._store.namespace.name
        namespace = Namespace(base_id, f"{name}.{self._name}")
        return RedisStore(self._store.alias, namespace, self._store.lifetimes, is_configured=True)

    def _run_scripts(self) -> str:
        """Publish one entry, and use every kind of lease."""
        trial = self._trial()
        try:
            _publish(trial)
            _use_leases(trial, SharedFeedState(trial, self._used.active_mapping))
        finally:
            for each in (*keys.ALL, *shared_state.KEYS, keys.entry_key(NUMBER)):
                trial.delete(each)
        return "publishing, reading and leases"

    def _use_channel(self) -> str:
        pubsub = self._store.subscribe()
        try:
            _wait_for(pubsub, "subscribe")
            self._store.notify_replicas()
            _wait_for(pubsub, "message")
            pubsub.ping()
            _wait_for(pubsub, "pong")
        except (RedisError, OSError) as error:
            raise CheckFailed(sentence(error)) from error
        finally:
            pubsub.close()
        return "publish and subscribe"

    def _read_policy(self) -> str:
        info = self._store.server_info()
        if not info.policy:
            return (
                "Redis does not tell what it does when its memory is full. It must remove nothing "
                "(noeviction; on Upstash, Eviction must be off): see the service's settings."
            )
        if info.may_evict:
            raise CheckFailed(
                f"{info.policy}: Redis removes entries when its memory is full. {EVICTION_REMEDY}"
            )
        return info.policy if info.policy == NO_EVICTION else f"{info.policy}, without a limit"

    def _read_memory(self) -> str:
        info, size = self._store.server_info(), int(self._store.get(keys.SET_BYTES) or 0)
        needed = (
            f"the entries need {readable_size(size)}" if size else "no refresh was published yet"
        )
        if info.used_bytes is None or info.max_bytes is None:
            return f"Redis does not tell its memory; {needed}, and twice as much should be free"
        if info.max_bytes and size and info.max_bytes - info.used_bytes + size < 2 * size:
            raise CheckFailed(
                f"{info.memory()}; {needed}. Raise the limit (maxmemory): there should be room for "
                "twice the entries, because customers and their variables increase."
            )
        return f"{info.memory()}; {needed}"

    def _find_others(self) -> str:
        if others := self._used.other_deployments.live():
            raise CheckFailed(f"{description(others)}. {REMEDY}")
        return f"none with another mapping in the namespace {self._store.namespace}"


def _publish(trial: RedisStore) -> None:
    now = trial.now()
    entry = Entry(NUMBER, {"trial": "trial"}, now, "refresh")
    publication = Publication(EntrySet.of([entry], now, "refresh"), "trial")
    results = list(RedisTarget(trial).publish(publication))
    state = trial.replica_state("", 0)
    if [each.outcome for each in results] != ["added"] or state.changed != [NUMBER]:
        raise CheckFailed("Redis' scripts do not do what they should. Use another service.")


def _use_leases(trial: RedisStore, feed_state: SharedFeedState) -> None:
    token = secrets.token_hex(8)
    leases = LookupLeases(trial, token)
    acquired = [each.acquired for each in leases.acquire([NUMBER], 5.0)]
    leases.extend([NUMBER], 0)
    acquired.append(feed_state.lead(token, 5.0, 5.0).is_leader)
    acquired.append(feed_state.renew_lead(token, 5.0))
    feed_state.step_down(token)
    acquired.append(trial.acquire_lease(keys.REFRESH_LOCK, token, 5))
    trial.renew_lease(keys.REFRESH_LOCK, token, 5)
    trial.release_lease(keys.REFRESH_LOCK, token)
    if not all(acquired):
        raise CheckFailed("Redis' scripts do not give leases. Use another service.")


def _wait_for(pubsub: Any, kind: str) -> None:
    """Raises CheckFailed, RedisError and OSError."""
    ends_at = time.monotonic() + MESSAGE_SECONDS
    while (left := ends_at - time.monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message and message["type"] == kind:
            return
    raise CheckFailed(
        f"A message through Redis' channel did not arrive in {MESSAGE_SECONDS:.0f} s: edits would "
        "be live late. Use a service, or a proxy, with publish and subscribe."
    )
