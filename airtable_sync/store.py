"""The cache: one entry a number in Redis, through Django's cache framework on django-redis.

An outage is never a miss: whatever Redis fails to do raises StoreUnavailable."""

import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from django.conf import settings
from django.core.cache import caches
from django_redis.exceptions import ConnectionInterrupted
from redis.commands.core import Script
from redis.exceptions import RedisError

from airtable_sync.entries import Entry, from_json

logger = logging.getLogger(__name__)

T = TypeVar("T")
Outcome = Literal["added", "changed", "unchanged", "removed", "unknown", "older"]

# Some 200 KB a request: small enough for every Redis service, and for not holding up its other
# clients while the script runs (a few milliseconds).
ENTRIES_PER_REQUEST = 400
_PUBLISH = Path(__file__).with_name("publish.lua").read_text(encoding="utf-8")

_IF_OURS = """
local value = redis.call("GET", KEYS[1])
if value and cjson.decode(value) == ARGV[1] then return redis.call({}) end
return 0
"""


class StoreUnavailable(Exception):
    """Redis is away, too slow, or refuses."""


class Store:
    """All of Siftly's keys in one Redis, by one alias of Django's cache: "default" has the short
    time limits of a call, "patient" the long ones of a command."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def read(self, number: str) -> Entry | None:
        """The entry of a number, or None if there is none."""
        try:
            with self._translated():
                value = self._cache.get(_key(number))
            return None if value is None else from_json(number, value)
        except ValueError as error:  # no JSON, or of a foreign format
            logger.warning("The cached value of %s counts as a miss: %s", number, error)
            return None

    def read_many(self, numbers: Iterable[str]) -> Iterator[Entry]:
        """The entries that exist, in requests of a few hundred."""
        for chunk in _chunks(list(numbers)):
            try:
                with self._translated():
                    values = self._cache.get_many([_key(number) for number in chunk])
                entries = [from_json(n, values[_key(n)]) for n in chunk if _key(n) in values]
            except ValueError:  # one of them can't be read: find it
                entries = [entry for number in chunk if (entry := self.read(number))]
            yield from entries

    def write(self, entries: Iterable[Entry], *, announce_unchanged: bool) -> dict[str, Outcome]:
        """Write entries, the newer reading of each number winning. A single entry that was read
        again says so to the replicas even if nothing changed (`announce_unchanged`): it is fresh
        again. A refresh need not: it says it for the whole set at once."""
        outcomes: dict[str, Outcome] = {}
        for chunk in _chunks(list(entries)):
            with self._translated():
                words = self._run_publish(chunk, announce_unchanged)
            outcomes.update((entry.number, word) for entry, word in zip(chunk, words, strict=True))
        return outcomes

    def numbers(self) -> list[str]:
        """Every number in the index: also removed ones, and ones known to be unknown."""
        with self._translated():
            return [member.decode() for member in self._redis.zrange(self._raw("index"), 0, -1)]

    def forget(self, numbers: Iterable[str]) -> None:
        """Take numbers out of the index whose entries have ended."""
        for chunk in _chunks(list(numbers)):
            with self._translated():
                self._redis.zrem(self._raw("index"), *chunk)

    def remember(self, name: str, value: Any, seconds: float | None = None) -> None:
        """Keep one more thing beside the entries, under a name of its own."""
        with self._translated():
            self._cache.set(name, value, seconds)

    def recall(self, name: str) -> Any:
        with self._translated():
            return self._cache.get(name)

    def add(self, name: str, token: str, seconds: int) -> bool:
        """Take a lease of this name, if nobody holds it."""
        with self._translated():
            return bool(self._cache.add(name, token, seconds))

    def renew(self, name: str, token: str, seconds: int) -> None:
        """Hold a lease for longer, if it is still ours."""
        self.run(_IF_OURS.format('"PEXPIRE", KEYS[1], ARGV[2]'), [name], [token, seconds * 1000])

    def release(self, name: str, token: str) -> None:
        """Give a lease back, if it is still ours. It ends by itself when Redis is away."""
        with suppress(StoreUnavailable):
            self.run(_IF_OURS.format('"DEL", KEYS[1]'), [name], [token])

    def now(self) -> int:
        """Redis' clock in milliseconds: the one that all processes agree on."""
        with self._translated():
            seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def run(self, script: str, names: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a Lua script on keys of these names."""
        with self._translated():
            redis = self._redis
            keys = [self._raw(name) for name in names]
            return Script(redis, script)(keys=keys, args=arguments)

    def _run_publish(self, chunk: Sequence[Entry], announce_unchanged: bool) -> list[Outcome]:
        names = ["index", "sequence", "epoch", *(_key(entry.number) for entry in chunk)]
        channel = self._raw("changes")
        arguments: list[Any] = [channel, secrets.token_hex(8), "1" if announce_unchanged else "0"]
        for entry in chunk:
            value = self._cache.client.encode(entry.as_json())
            life = int(entry.life_seconds * 1000)
            known = "1" if entry.known else "0"
            arguments += [entry.number, value, entry.asked_at, entry.digest(), known, life]
        return [word.decode() for word in self.run(_PUBLISH, names, arguments)]

    @property
    def _cache(self) -> Any:
        if not settings.REDIS_URL:
            raise StoreUnavailable("REDIS_URL is not set.")
        return caches[self.alias]

    @property
    def _redis(self) -> Any:
        return self._cache.client.get_client(write=True)

    def _raw(self, name: str) -> str:
        return str(self._cache.client.make_key(name))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, ConnectionInterrupted, OSError) as error:
            cause = error.__cause__ if isinstance(error, ConnectionInterrupted) else error
            raise StoreUnavailable(f"Redis: {type(cause).__name__}: {cause}") from error


CALLS = Store("default")
PATIENT = Store("patient")


def asked_now(store: Store) -> int:
    """The moment a reading is asked for: by Redis' clock or, without Redis, by our own."""
    try:
        return store.now()
    except StoreUnavailable:
        return int(time.time() * 1000)


def _key(number: str) -> str:
    return f"entry:{number}"


def _chunks(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), ENTRIES_PER_REQUEST):
        yield items[start : start + ENTRIES_PER_REQUEST]
