"""The keys in Redis of the deployment that the settings describe, and what a key holds."""

from collections.abc import Callable
from typing import Any

from tests.support.services import services


def redis_key(name: str) -> str:
    return services().call_store.full_key(name)


def value_of(client: Any, key: bytes) -> Any:
    """Of any type; None for a key that has expired."""
    readers: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"list": lambda: client.lrange(key, 0, -1),
        b"none": lambda: None,
    }
    return readers[client.type(key)]()
