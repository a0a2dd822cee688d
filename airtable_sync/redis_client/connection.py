"""Redis, by one alias of Django's cache on django-redis: values, leases, scripts, its clock.

An outage is never a miss: whatever Redis fails to do raises CacheUnavailable."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django_redis.exceptions import ConnectionInterrupted
from interlock import CircuitBreaker, CircuitOpenError
from redis.commands.core import Script
from redis.exceptions import RedisError

ScriptCall = tuple[str, Sequence[str], Sequence[Any]]  # a script, names of keys, arguments

_IF_OURS = """
local value = redis.call("GET", KEYS[1])
if value and cjson.decode(value) == ARGV[1] then return redis.call({}) end
return 0
"""


class CacheUnavailable(Exception):
    """Redis is away, too slow, or refuses."""


class Connection:
    """By an alias: "default" has the short time limits of a call, "patient" the long ones of a
    command."""

    def __init__(self, alias: str, breaker: CircuitBreaker | None = None) -> None:
        self.alias = alias
        self._breaker = breaker

    def remember(self, name: str, value: Any, seconds: float | None = None) -> None:
        """Keep one more thing beside the entries, under a name of its own."""
        with self._translated():
            self._cache.set(name, value, seconds)

    def drop(self, name: str) -> None:
        with self._translated():
            self._cache.delete(name)

    def recall(self, name: str) -> Any:
        with self._translated():
            return self._cache.get(name)

    def add(self, name: str, token: str, seconds: int) -> bool:
        """Take a lease of this name, if nobody holds it."""
        with self._translated():
            return bool(self._cache.add(name, token, seconds))

    def is_held(self, name: str) -> bool:
        with self._translated():
            return self._cache.get(name) is not None

    def renew(self, name: str, token: str, seconds: int) -> None:
        """Hold a lease for longer, if it is still ours."""
        self.run(_IF_OURS.format('"PEXPIRE", KEYS[1], ARGV[2]'), [name], [token, seconds * 1000])

    def release(self, name: str, token: str) -> None:
        """Give a lease back, if it is still ours. It ends by itself when Redis is away."""
        with suppress(CacheUnavailable):
            self.run(_IF_OURS.format('"DEL", KEYS[1]'), [name], [token])

    def now(self) -> int:
        """Redis' clock in milliseconds: the one that all processes agree on."""
        with self._translated():
            seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def memory(self) -> tuple[int, int]:
        """The bytes that Redis uses, and may use at most (0: no limit is set)."""
        with self._translated():
            info = self._redis.info("memory")
        return int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))

    def run(self, script: str, names: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a Lua script on keys of these names."""
        with self._translated():
            redis = self._redis
            keys = [self.raw(name) for name in names]
            return Script(redis, script)(keys=keys, args=arguments)

    def run_all(self, calls: Iterable[ScriptCall]) -> None:
        """Run scripts, each with the names of its keys and its arguments, in one request."""
        with self._translated():
            self._run_all(calls)

    def ask(self, *commands: tuple[str | int, ...]) -> list[Any]:
        """Redis' answers to commands that read, in one request. The second word of each is a key's
        name."""
        with self._translated():
            pipeline = self._redis.pipeline(transaction=False)
            for command, name, *arguments in commands:
                pipeline.execute_command(command, self.raw(str(name)), *arguments)
            return list(pipeline.execute())

    def _run_all(self, calls: Iterable[ScriptCall]) -> list[Any]:
        """Several runs in one pipeline, each a command of its own."""
        pipeline = self._redis.pipeline(transaction=False)
        for script, names, arguments in calls:
            pipeline.eval(script, len(names), *map(self.raw, names), *arguments)
        return list(pipeline.execute())

    @property
    def _cache(self) -> Any:
        if not settings.REDIS_URL:
            raise CacheUnavailable("REDIS_URL is not set.")
        return caches[self.alias]

    @property
    def _redis(self) -> Any:
        return self._cache.client.get_client(write=True)

    def raw(self, name: str) -> str:
        return str(self._cache.client.make_key(name))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with self._breaker or nullcontext():
                yield
        except CircuitOpenError as error:
            raise CacheUnavailable("Redis has failed again and again and is left alone.") from error
        except (RedisError, ConnectionInterrupted, OSError) as error:
            raise CacheUnavailable(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, ConnectionInterrupted) else error
    # Only the text is left of what the TLS library raised.
    if found := re.search(r"certificate verify failed: (.+?)\.? \(_ssl", str(cause)):
        return f"Redis' certificate is not to be trusted: {found[1]}."
    return f"Redis: {type(cause).__name__}: {cause}"
