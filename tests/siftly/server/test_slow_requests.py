"""Limits for how long a request may take to arrive, and for the size of its head. The tests use the
server's protocol on a socket, with shorter limits."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from siftly.server.connection import Connection
from siftly.server.http import Receive, Response, Scope, Send
from tests.support.waiting import until

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ShortLimits(Connection):
    HEAD_SECONDS = BODY_SECONDS = 0.1
    WRITE_SECONDS = 0.2
    CHECK_SECONDS = 0.02
    MAX_CONNECTIONS = 3


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if body == b"slow!":
        await asyncio.sleep(0.5)
    await Response(body).send(send)


@contextlib.asynccontextmanager
async def listening(application: Any) -> AsyncIterator[tuple[tuple[str, int], ServerState]]:
    config = Config(application, log_config=None, lifespan="off", proxy_headers=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ShortLimits(config, state, {}), "127.0.0.1", 0)
    async with server, asyncio.timeout(20):
        yield server.sockets[0].getsockname()[:2], state


@contextlib.asynccontextmanager
async def connection() -> AsyncIterator[Streams]:
    async with listening(echo) as (address, _):
        reader, writer = await asyncio.open_connection(*address)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def run_on_connection(
    client: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]],
) -> bytes:
    async def run() -> bytes:
        async with connection() as streams, asyncio.timeout(10):
            return await client(*streams)

    return asyncio.run(run())


@pytest.mark.parametrize("first_bytes", [b"", b"he"])
def test_a_body_that_does_not_arrive_gets_408(first_bytes: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + first_bytes)
        return await reader.read()

    response = run_on_connection(client)
    assert response.startswith(b"HTTP/1.1 408 ")
    assert response.endswith(b'{"error": "The body did not arrive in time."}')


@pytest.mark.parametrize("first_bytes", [b"", b"POST / HTT", HEAD[:-2]])
def test_a_connection_is_closed_if_the_head_does_not_arrive(first_bytes: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(first_bytes)
        return await reader.read()

    assert run_on_connection(client) == b""


def test_single_bytes_do_not_extend_the_time_limit() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST / HTTP/1.1\r\nX: ")
        sent = 0
        while not reader.at_eof() and not writer.is_closing() and sent < 300:
            writer.write(b"x")
            sent += 1
            await asyncio.sleep(0.01)
        return b"x" * sent

    assert len(run_on_connection(client)) < 300


@pytest.mark.slow
def test_a_slow_response_and_a_pause_between_requests_are_allowed() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        bodies = []
        for body in (b"slow!", b"hello"):
            writer.write(HEAD + body)
            await reader.readuntil(b"\r\n\r\n")
            bodies.append(await reader.readexactly(5))
            await asyncio.sleep(0.3)
        return b" ".join(bodies)

    assert run_on_connection(client) == b"slow! hello"


def test_a_connection_is_closed_if_the_head_is_too_large() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST / HTTP/1.1\r\n" + (b"X-Header: " + b"x" * 1000 + b"\r\n") * 200)
        return await reader.read()

    with contextlib.suppress(ConnectionError):
        assert run_on_connection(client) == b""


async def hundred_megabytes(_scope: Scope, _receive: Receive, send: Send) -> None:
    """More than the system keeps for a client that does not read."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1600):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})


def test_a_client_that_does_not_read_its_response_is_dropped() -> None:
    async def run() -> None:
        async with listening(hundred_megabytes) as (address, state):
            with socket.create_connection(address) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await until(lambda: state.connections)
                await until(lambda: not state.connections)

    asyncio.run(run())


def test_one_connection_too_many_closes_the_one_that_has_waited_longest() -> None:
    async def run() -> None:
        async with listening(echo) as (address, state), contextlib.AsyncExitStack() as stack:
            clients = []
            for _ in range(ShortLimits.MAX_CONNECTIONS + 1):
                client = stack.enter_context(socket.create_connection(address, timeout=10))
                clients.append(client)
                await until(lambda: len(state.connections) >= min(len(clients), 3))
            await until(lambda: len(state.connections) == ShortLimits.MAX_CONNECTIONS)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(clients[0].recv, 1) == b""

    asyncio.run(run())
