"""Starting and stopping, latency, and the request log."""

import contextlib
import gc
import socket
import threading
import time

import pytest
import requests
from pyairtable import Table as TableClient

from sandbox.airtable.sample.bases import flat_base, linked_base
from sandbox.airtable.server import Sandbox
from sandbox.airtable.uvicorn_server import bind
from tests.sandbox.conftest import PEOPLE, HttpClient
from tests.support.waiting import wait_until

PATH = f"/v0/{PEOPLE}/People"


def test_a_stopped_sandbox_refuses_connections_until_it_starts_again(
    sandbox: Sandbox, http: HttpClient
) -> None:
    url = sandbox.url
    assert http.get(PATH).ok
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        http.get(PATH)
    sandbox.start()
    assert sandbox.url == url
    assert http.get(PATH).ok


@pytest.mark.slow
def test_connections_that_arrive_while_it_stops_are_closed() -> None:
    """An open one would be a warning, and so an error, at the end of this test."""
    ended = threading.Event()
    sandboxes: list[Sandbox] = []

    def connect_until_the_end() -> None:
        while not ended.is_set():
            with contextlib.suppress(requests.RequestException, IndexError):
                sandbox = sandboxes[-1]
                path = f"/v0/{sandbox.base().id}/client"
                headers = {"Authorization": f"Bearer {sandbox.token}"}
                requests.get(f"{sandbox.url}{path}", headers=headers, timeout=10)

    threads = [threading.Thread(target=connect_until_the_end) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        with Sandbox([linked_base()], requests_per_second=None) as sandbox:
            sandboxes.append(sandbox)
            wait_until(lambda sandbox=sandbox: sandbox.requests)  # type: ignore[misc]
    ended.set()
    for thread in threads:
        thread.join()
    gc.collect()


def test_edits_made_while_it_is_stopped_are_kept(sandbox: Sandbox, client: TableClient) -> None:
    sandbox.stop()
    sandbox.base(PEOPLE).table("People").create({"Name": "Dora"})
    sandbox.start()
    assert len(client.all()) == 4


def test_a_restart_deletes_iterators(sandbox: Sandbox, http: HttpClient) -> None:
    offset = http.get(PATH, params={"pageSize": "1"}).json()["offset"]
    sandbox.stop()
    sandbox.start()
    lost = http.get(PATH, params={"offset": offset})
    assert lost.json()["error"]["type"] == "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"


def test_starting_and_stopping_twice_is_harmless() -> None:
    sandbox = Sandbox([linked_base()])
    sandbox.start()
    sandbox.start()
    sandbox.stop()
    sandbox.stop()


def test_a_bound_socket_refuses_connections_until_the_sandbox_reads() -> None:
    """The limits would count a waiting request too late."""
    with bind(0) as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            Sandbox([linked_base()], port=port).start()


def test_the_only_base_needs_no_id() -> None:
    assert Sandbox([linked_base()]).base().id == "appSiftlySandbox0"
    with pytest.raises(ValueError, match="more than one base"):
        Sandbox([linked_base(), flat_base()]).base()


def test_latency_can_change_while_it_runs(sandbox: Sandbox, http: HttpClient) -> None:
    sandbox.latency = 0.15
    assert http.get(PATH).elapsed.total_seconds() >= 0.15
    sandbox.latency = 60
    with pytest.raises(requests.ReadTimeout):
        http.session.get(sandbox.url + PATH, timeout=0.2)
    sandbox.latency = 0
    assert http.get(PATH).elapsed.total_seconds() < 9


def test_jitter_stays_around_the_latency() -> None:
    sandbox = Sandbox([linked_base()], latency=1.0, latency_jitter=True)
    seconds = [sandbox.state.next_latency() for _ in range(200)]
    assert 0.5 <= min(seconds) < 0.8
    assert 1.2 < max(seconds) <= 1.5


def test_the_log_has_decoded_requests_with_status_and_times(
    sandbox: Sandbox, http: HttpClient
) -> None:
    before = time.monotonic()
    http.get(PATH, params={"fields[]": ["Name", "Age"], "filterByFormula": "{Name}='a b+c'"})
    [entry] = sandbox.requests
    assert (entry.method, entry.path, entry.status) == ("GET", PATH, 200)
    assert entry.query == {"fields[]": ["Name", "Age"], "filterByFormula": ["{Name}='a b+c'"]}
    assert entry.finished_at is not None
    assert before <= entry.started_at <= entry.finished_at <= time.monotonic()
