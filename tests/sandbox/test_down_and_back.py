"""Starting, stopping, starting again on the same port; latency; the request log."""

import socket
import time

import pytest
import requests
from pyairtable import Table as TableClient

from sandbox.airtable.sample import flat_base, linked_base
from sandbox.airtable.server import Sandbox, _bound
from tests.sandbox.conftest import PEOPLE, Asker

PATH = f"/v0/{PEOPLE}/People"


def test_a_stopped_sandbox_refuses_connections_until_it_is_back(
    sandbox: Sandbox, ask: Asker
) -> None:
    url = sandbox.url
    assert ask.get(PATH).ok
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        ask.get(PATH)
    sandbox.start()
    assert sandbox.url == url
    assert ask.get(PATH).ok


def test_edits_made_while_it_is_down_are_there_afterwards(
    sandbox: Sandbox, client: TableClient
) -> None:
    sandbox.stop()
    sandbox.base(PEOPLE).table("People").create({"Name": "Dora"})
    sandbox.start()
    assert len(client.all()) == 4


def test_a_restart_forgets_running_sweeps(sandbox: Sandbox, ask: Asker) -> None:
    offset = ask.get(PATH, params={"pageSize": "1"}).json()["offset"]
    sandbox.stop()
    sandbox.start()
    lost = ask.get(PATH, params={"offset": offset})
    assert lost.json()["error"]["type"] == "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"


def test_starting_and_stopping_twice_is_harmless_and_quick() -> None:
    sandbox = Sandbox([linked_base()])
    began = time.monotonic()
    sandbox.start()
    sandbox.start()
    sandbox.stop()
    sandbox.stop()
    assert time.monotonic() - began < 0.3


def test_no_request_waits_for_a_sandbox_that_does_not_read_yet() -> None:
    """It would count when it is read, which is later than it came."""
    with _bound(0) as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            Sandbox([linked_base()], port=port).start()


def test_the_only_base_needs_no_name() -> None:
    assert Sandbox([linked_base()]).base().id == "appSiftlySandbox0"
    with pytest.raises(ValueError, match="more than one base"):
        Sandbox([linked_base(), flat_base()]).base()


def test_latency_may_change_while_it_runs(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.latency = 0.15
    assert ask.get(PATH).elapsed.total_seconds() >= 0.15
    sandbox.latency = 0
    assert ask.get(PATH).elapsed.total_seconds() < 0.15


def test_jitter_stays_around_the_latency() -> None:
    sandbox = Sandbox([linked_base()], latency=1.0, latency_jitter=True)
    seconds = [sandbox.state.next_latency() for _ in range(200)]
    assert 0.5 <= min(seconds) < 0.8
    assert 1.2 < max(seconds) <= 1.5


def test_requests_are_logged_decoded_with_status_and_times(sandbox: Sandbox, ask: Asker) -> None:
    before = time.monotonic()
    ask.get(PATH, params={"fields[]": ["Name", "Age"], "filterByFormula": "{Name}='a b+c'"})
    [entry] = sandbox.requests
    assert (entry.method, entry.path, entry.status) == ("GET", PATH, 200)
    assert entry.query == {"fields[]": ["Name", "Age"], "filterByFormula": ["{Name}='a b+c'"]}
    assert entry.finished_at is not None
    assert before <= entry.started_at <= entry.finished_at <= time.monotonic()
