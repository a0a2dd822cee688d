"""How long a request may take to arrive, and how large its head may be: the server's own protocol,
on a socket, with less limits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from siftly.server.http import Receive, Response, Scope, Send
from siftly.server.protocol import Protocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Impatient(Protocol):
    HEAD_SECONDS = BODY_SECONDS = 0.1
    LOOK_SECONDS = 0.02


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if body == b"slow!":
        await asyncio.sleep(0.5)
    await Response(body).send(send)


@contextlib.asynccontextmanager
async def connection() -> AsyncIterator[Streams]:
    config = Config(echo, log_config=None, lifespan="off", proxy_headers=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def on_a_connection(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]],
) -> bytes:
    async def run() -> bytes:
        async with connection() as streams, asyncio.timeout(10):
            return await talk(*streams)

    return asyncio.run(run())


@pytest.mark.parametrize("begun", [b"", b"he"])
def test_a_body_that_does_not_arrive_is_408(begun: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + begun)
        return await reader.read()

    answer = on_a_connection(talk)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"error": "The body did not arrive in time."}')


@pytest.mark.parametrize("begun", [b"", b"POST / HTT", HEAD[:-2]])
def test_a_connection_whose_head_does_not_arrive_is_closed(begun: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(begun)
        return await reader.read()

    assert on_a_connection(talk) == b""


def test_bytes_that_trickle_in_do_not_win_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST / HTTP/1.1\r\nX: ")
        sent = 0
        while not reader.at_eof() and not writer.is_closing() and sent < 300:
            writer.write(b"x")
            sent += 1
            await asyncio.sleep(0.01)
        return b"x" * sent

    assert len(on_a_connection(talk)) < 300


def test_a_slow_answer_and_a_pause_between_two_requests_are_no_slow_request() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        answers = []
        for body in (b"slow!", b"hello"):
            writer.write(HEAD + body)
            await reader.readuntil(b"\r\n\r\n")
            answers.append(await reader.readexactly(5))
            await asyncio.sleep(0.3)
        return b" ".join(answers)

    assert on_a_connection(talk) == b"slow! hello"


def test_a_head_that_is_too_large_is_cut_off() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST / HTTP/1.1\r\n" + (b"X-Header: " + b"x" * 1000 + b"\r\n") * 200)
        return await reader.read()

    with contextlib.suppress(ConnectionError):
        assert on_a_connection(talk) == b""
