"""Redis through Django's cache framework on django-redis: values, leases, scripts, the clock."""

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any, Literal

from django.core.cache import caches
from django_redis.exceptions import ConnectionInterrupted
from interlock import CircuitBreaker, CircuitOpenError
from redis.commands.core import Script
from redis.connection import SSLConnection
from redis.exceptions import RedisError, ResponseError

from airtable_sync.redis_client.errors import sentence
from airtable_sync.redis_client.namespace import Namespace
from airtable_sync.redis_client.scripts import Command, ScriptCall
from airtable_sync.redis_client.server_info import ServerInfo, server_info

_IF_OWN_LEASE = """
local value = redis.call("GET", KEYS[1])
if value and cjson.decode(value) == ARGV[1] then return redis.call({}) end
return 0
"""


class CacheUnavailable(Exception):
    """The shared cache does not answer: Redis or, where there is no Redis, the database.

    An outage is never a miss: each failure raises this."""


class RedisConnection:
    """One alias of Django's caches. Each alias has its own time limits (`siftly/caches.py`).

    Every method raises CacheUnavailable. `name` is a key without its namespace."""

    def __init__(
        self,
        alias: str,
        namespace: Namespace,
        *,
        is_configured: bool,
        circuit_breaker: CircuitBreaker | None = None,
    ) -> None:
        self.alias = alias
        self.namespace = namespace
        self._is_configured = is_configured
        self._circuit_breaker = circuit_breaker

    def set(self, name: str, value: Any, seconds: float | None = None) -> None:
        """Store a value as JSON. Without `seconds` it does not expire."""
        with self._translated_errors():
            self._cache.set(self.namespace.key(name), value, seconds)

    def get(self, name: str) -> Any:
        with self._translated_errors():
            return self._cache.get(self.namespace.key(name))

    def delete(self, name: str) -> None:
        with self._translated_errors():
            self._cache.delete(self.namespace.key(name))

    def exists(self, name: str) -> bool:
        return self.get(name) is not None

    def acquire_lease(self, name: str, token: str, seconds: int) -> bool:
        """Take a lease. False if another token holds it."""
        with self._translated_errors():
            return bool(self._cache.add(self.namespace.key(name), token, seconds))

    def renew_lease(self, name: str, token: str, seconds: int) -> None:
        """Extend a lease, if this token still holds it."""
        script = _IF_OWN_LEASE.format('"PEXPIRE", KEYS[1], ARGV[2]')
        self.run_script(script, [name], [token, seconds * 1000])

    def release_lease(self, name: str, token: str) -> None:
        """End a lease, if this token still holds it. Without Redis it expires by itself."""
        with suppress(CacheUnavailable):
            self.run_script(_IF_OWN_LEASE.format('"DEL", KEYS[1]'), [name], [token])

    def now(self) -> int:
        """Redis' clock in milliseconds. All processes use it."""
        with self._translated_errors():
            seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def server_info(self) -> ServerInfo:
        """Empty if this user may not ask, or if the server has no INFO."""
        with self._translated_errors():
            try:
                return server_info(self._redis.info())
            except ResponseError:
                return ServerInfo()

    def connection_security(self) -> Literal["encrypted", "private", "exposed"]:
        """`exposed`: without TLS to an address on the internet. Raises CacheUnavailable if the host
        is unknown."""
        with self._translated_errors():
            pool = self._redis.connection_pool
            if issubclass(pool.connection_class, SSLConnection):
                return "encrypted"
            host = pool.connection_kwargs.get("host")
            addresses = socket.getaddrinfo(host, None) if host else []  # none: a Unix socket
        found = (ipaddress.ip_address(each[4][0]) for each in addresses)
        return "exposed" if any(each.is_global for each in found) else "private"

    def run_script(
        self, script: str, names: Sequence[str], arguments: Sequence[str | int | bytes]
    ) -> Any:
        """Run a Lua script on the keys of these names."""
        with self._translated_errors():
            keys = [self.full_key(name) for name in names]
            return Script(self._redis, script)(keys=keys, args=arguments)

    def run_all(self, calls: Iterable[ScriptCall | Command]) -> list[Any]:
        """Run several scripts and commands in one round trip."""
        with self._translated_errors():
            pipeline = self._redis.pipeline(transaction=False)
            for call in calls:
                if isinstance(call, Command):
                    key = self.full_key(call.name)
                    pipeline.execute_command(call.command, key, *call.arguments)
                else:
                    script, names, arguments = call
                    pipeline.eval(script, len(names), *map(self.full_key, names), *arguments)
            return list(pipeline.execute())

    def read_all(self, *commands: tuple[str | int, ...]) -> list[Any]:
        """The results of several read commands in one round trip. The second item of each command
        is the name of its key."""
        with self._translated_errors():
            pipeline = self._redis.pipeline(transaction=False)
            for command, name, *arguments in commands:
                pipeline.execute_command(command, self.full_key(str(name)), *arguments)
            return list(pipeline.execute())

    def full_key(self, name: str) -> str:
        """The key as it is in Redis, with its namespace, and django-redis' prefix and version."""
        return f"{self._django_prefix}{self.namespace.key(name)}"

    @cached_property
    def _django_prefix(self) -> str:
        """Read once: a refresh needs a hundred thousand keys."""
        return str(self._cache.client.make_key(""))

    @property
    def _cache(self) -> Any:
        if not self._is_configured:
            raise CacheUnavailable("REDIS_URL is not set.")
        return caches[self.alias]

    @property
    def _redis(self) -> Any:
        return self._cache.client.get_client(write=True)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            with self._circuit_breaker or nullcontext():
                yield
        except CircuitOpenError as error:
            raise CacheUnavailable("Redis failed repeatedly and is not asked now.") from error
        except (RedisError, ConnectionInterrupted, OSError) as error:
            raise CacheUnavailable(sentence(error)) from error
