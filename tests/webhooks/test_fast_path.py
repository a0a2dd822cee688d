"""The fast path answers a cache hit with the same bytes as the ASGI path. All other requests take
the ASGI path. The tests use the server's own protocol on a socket."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from airtable_sync.cache.entry import Entry
from siftly import asgi
from siftly.server import fast_path
from siftly.server.connection import Connection
from siftly.server.http import Request, Response
from siftly.server.request_rules import MAX_BODY_BYTES
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import VARIABLES, set_up
from tests.support.raw_calls import cache_in_memory, request
from tests.support.services import platforms, services, web_services
from tests.support.waiting import until
from webhooks import call_handler
from webhooks.call_handler import CallHandler

RETELL = platforms()["retell"]
# The ASGI path sends what a platform needs beside the response.
ON_FAST_PATH = [name for name, each in platforms().items() if not each.follow_up_seconds]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def set_up_all_platforms(settings: Any) -> None:
    for each in platforms().values():
        set_up(each, settings)


class AsgiOnly(Connection):
    """Without the fast path."""

    def _may_take_fast_path(self) -> bool:
        return False


class Server:
    """A server on loopback with one of our protocols."""

    def __init__(self, kind: type[Connection]) -> None:
        self.kind, self.state = kind, ServerState()
        self.connections: list[Connection] = []
        self.state.default_headers = [(b"date", b"today")]
        self.config = Config(
            asgi.application,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
        )
        self.config.load()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Streams]:
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            self.connections.append(self.kind(self.config, self.state, {}))
            return self.connections[-1]

        server = await loop.create_server(connect, "127.0.0.1", 0)
        async with server, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            yield reader, writer
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def read_response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def responses_to(*requests: bytes, kind: type[Connection] = Connection) -> list[bytes]:
    """The responses to requests that are sent in one piece."""

    async def run() -> list[bytes]:
        async with Server(kind).connection() as (reader, writer):
            writer.write(b"".join(requests))
            return [await read_response(reader) for _ in requests]

    return asyncio.run(run())


def without_duration(answer: bytes) -> bytes:
    return re.sub(rb"total;dur=[0-9.]+", b"total;dur=?", answer)


@pytest.fixture
def no_asgi_path(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> Response:
        raise AssertionError("this call took the ASGI path")

    monkeypatch.setattr(CallHandler, "handle", refuse)


@pytest.fixture
def asgi_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The platforms of the calls that took the ASGI path."""
    calls: list[str] = []
    handle = CallHandler.handle

    async def recorded(
        handler: CallHandler, request: Request, body: bytes, platform: str
    ) -> Response:
        calls.append(platform)
        return await handle(handler, request, body, platform)

    monkeypatch.setattr(CallHandler, "handle", recorded)
    return calls


@pytest.mark.parametrize("name", platforms())
def test_both_paths_give_every_platform_the_same_response(name: str, settings: Any) -> None:
    cache_in_memory()
    sent = request(platforms()[name], settings)
    [fast], [asgi_response] = responses_to(sent), responses_to(sent, kind=AsgiOnly)
    assert b"x-siftly-source: memory" in fast
    assert without_duration(fast) == without_duration(asgi_response)


@pytest.mark.usefixtures("no_asgi_path")
@pytest.mark.parametrize("name", ON_FAST_PATH)
def test_a_hit_of_every_platform_takes_the_fast_path(name: str, settings: Any) -> None:
    cache_in_memory()
    sent = request(platforms()[name], settings)

    async def run() -> list[bytes]:
        async with Server(Connection).connection() as (reader, writer):
            answers = []
            for _ in range(3):
                writer.write(sent)
                answers.append(await read_response(reader))
            return answers

    for answer in asyncio.run(run()):
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@given(
    name=st.sampled_from(list(platforms())),
    variables=VARIABLES,
    written=st.sampled_from([NUMBER, "0032460234291", "tel:+32460234291", "+32 460 23 42 91"]),
)
def test_both_paths_give_the_same_response_for_any_variables_and_number_format(
    name: str, variables: dict[str, str], written: str, settings: Any
) -> None:
    cache_in_memory(variables)
    sent = request(platforms()[name], settings, number=written)
    [fast], [asgi_response] = responses_to(sent), responses_to(sent, kind=AsgiOnly)
    assert without_duration(fast) == without_duration(asgi_response)


def test_the_next_call_after_an_edit_gets_the_new_variables(settings: Any) -> None:
    sent = request(RETELL, settings)
    now = int(time.time() * 1000)
    for name, read_at in (("John", now - 1), ("Jane", now)):
        entry = Entry(NUMBER, {"customer_name": name}, read_at, "refresh")
        services().replica.keep(entry, saved=True)
        assert name.encode() in responses_to(sent)[0]


def test_a_call_after_a_changed_setting_gets_the_new_value(settings: Any) -> None:
    for assistant in ("one", "another"):
        settings.VAPI_ASSISTANT_ID = assistant
        cache_in_memory(settings={})
        assert f'"{assistant}"'.encode() in responses_to(request(platforms()["vapi"], settings))[0]


def test_a_hit_is_logged_and_counted(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    cache_in_memory()
    caplog.set_level(logging.INFO)
    responses_to(request(RETELL, settings))
    [record] = [each for each in caplog.records if "cache hit" in each.getMessage()]
    assert record.getMessage() == f"Redis cache hit for {NUMBER}"
    assert record.__dict__["tier"] == "memory"
    assert services().counters.counts.calls["retell", "memory"] == 1


@pytest.mark.parametrize(
    ("change", "status", "takes_asgi_path"),
    [
        (lambda sent: sent.replace(b"POST /", b"GET /"), b"405", True),
        (lambda sent: sent.replace(b",d=", b",d=0"), b"401", True),
        (lambda sent: sent.replace(b"retell/ ", b"retell/?a=b "), b"200", True),
        (lambda sent: sent.replace(b"HTTP/1.1", b"HTTP/1.0"), b"200", True),
        (lambda sent: sent.replace(b"retell", b"nobody"), b"404", True),
        (lambda sent: sent.replace(b"/retell/ ", b"/retell "), b"200", False),
    ],
)
def test_requests_that_are_not_plain_hits_take_the_asgi_path(
    settings: Any,
    asgi_calls: list[str],
    change: Callable[[bytes], bytes],
    status: bytes,
    takes_asgi_path: bool,
) -> None:
    cache_in_memory()
    [answer] = responses_to(change(request(RETELL, settings)))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert bool(asgi_calls) is takes_asgi_path


def test_a_number_without_a_fresh_entry_in_memory_takes_the_asgi_path(
    settings: Any, fake_redis: str, asgi_calls: list[str]
) -> None:
    [answer] = responses_to(request(RETELL, settings))
    assert (b"x-siftly-source: default" in answer, asgi_calls) == (True, ["retell"])
    old = Entry(NUMBER, JOHN, int(time.time() * 1000) - 20_000_000, "refresh")
    services().replica.keep(old, saved=True)
    [answer] = responses_to(request(RETELL, settings))
    assert (b"x-siftly-source: stale" in answer, len(asgi_calls)) == (True, 2)


def test_a_body_that_is_too_large_is_413(settings: Any) -> None:
    [answer] = responses_to(request(RETELL, settings, body=b" " * (MAX_BODY_BYTES + 1)))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_call_larger_than_any_real_one_takes_the_asgi_path(
    settings: Any, asgi_calls: list[str]
) -> None:
    """The fast path rejects it: a rejected request is read twice, so it has to be short."""
    cache_in_memory()
    body = RETELL.sample_body(NUMBER) + b" " * fast_path.MAX_BODY_BYTES
    [answer] = responses_to(request(RETELL, settings, body=body))
    assert (b"x-siftly-source: memory" in answer, asgi_calls) == (True, ["retell"])


def test_an_expect_header_in_a_trailer_gets_no_100_response(settings: Any, fake_redis: str) -> None:
    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    chunked = b"%x\r\n%b\r\n0\r\nExpect: 100-continue\r\n\r\n" % (len(body), body)
    [answer] = responses_to(head + b"\r\n\r\n" + chunked)
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_that_expects_100_continue_gets_it(settings: Any) -> None:
    cache_in_memory()
    head, _, body = request(RETELL, settings, "Expect: 100-continue").partition(b"\r\n\r\n")

    async def run() -> tuple[bytes, bytes]:
        async with Server(Connection).connection() as (reader, writer):
            writer.write(head + b"\r\n\r\n")
            continued = await reader.readuntil(b"\r\n\r\n")
            writer.write(body)
            return continued, await read_response(reader)

    continued, answer = asyncio.run(run())
    assert continued.startswith(b"HTTP/1.1 100")
    assert b"x-siftly-source: memory" in answer


@pytest.mark.usefixtures("no_asgi_path")
def test_a_body_that_arrives_after_the_head_is_joined(settings: Any) -> None:
    cache_in_memory()
    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")

    async def run() -> bytes:
        async with Server(Connection).connection() as (reader, writer):
            for piece in (head + b"\r\n\r\n", body[:50], body[50:-1], body[-1:]):
                writer.write(piece)
                await asyncio.sleep(0.01)
            return await read_response(reader)

    assert b"x-siftly-source: memory" in asyncio.run(run())


def test_a_chunked_body_and_a_head_in_pieces_take_the_asgi_path(
    settings: Any, asgi_calls: list[str]
) -> None:
    cache_in_memory()
    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    chunks = b"".join(b"1\r\n%b\r\n" % bytes([each]) for each in body)

    async def run() -> bytes:
        async with Server(Connection).connection() as (reader, writer):
            for piece in (head[:9], head[9:], b"\r\n\r\n", chunks[:50], chunks[50:], b"0\r\n\r\n"):
                writer.write(piece)
                await asyncio.sleep(0.01)
            return await read_response(reader)

    assert b"x-siftly-source: memory" in asyncio.run(run())
    assert asgi_calls == ["retell"]


def test_pipelined_requests_are_answered_in_order(settings: Any, fake_redis: str) -> None:
    """Even if a hit arrives while a slow call is being answered."""
    cache_in_memory()
    hit, miss = request(RETELL, settings), request(RETELL, settings, number="+32460234277")
    sources = [b"memory", b"default", b"memory", b"default", b"memory"]
    answers = responses_to(hit, miss, hit, miss, hit)
    assert [re.search(rb"source: (\w+)", each)[1] for each in answers] == sources  # type: ignore[index]


def test_a_connection_is_closed_if_the_client_asks_for_it(settings: Any) -> None:
    cache_in_memory()

    async def run() -> bytes:
        async with Server(Connection).connection() as (reader, writer):
            writer.write(request(RETELL, settings, "Connection: close"))
            return await reader.read()

    answer = asyncio.run(run())
    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_a_server_that_shuts_down_closes_the_connection(settings: Any) -> None:
    cache_in_memory()
    server = Server(Connection)
    server.state.default_headers = [(b"date", b"today"), (b"connection", b"close")]

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(request(RETELL, settings))
            return await reader.read()

    assert b"connection: close\r\n" in asyncio.run(run())


def test_a_call_that_arrives_while_the_server_shuts_down_is_answered(settings: Any) -> None:
    cache_in_memory()
    sent, server = request(RETELL, settings), Server(Connection)

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(sent[:-5])
            await until(lambda: any(each._arriving for each in server.connections))
            for each in list(server.state.connections):
                each.shutdown()
            writer.write(sent[-5:])
            return await reader.read()

    assert b"x-siftly-source: memory" in asyncio.run(run())


def test_fast_answers_count_for_the_recycling_of_workers(settings: Any) -> None:
    cache_in_memory()
    server, sent = Server(Connection), request(RETELL, settings)

    async def run() -> None:
        async with server.connection() as (reader, writer):
            for _ in range(3):
                writer.write(sent)
                await read_response(reader)

    asyncio.run(run())
    assert server.state.total_requests == 3


def test_an_idle_connection_is_closed(settings: Any) -> None:
    cache_in_memory()

    class ShortTimeout(Connection):
        CHECK_SECONDS = 0.02

    server = Server(ShortTimeout)
    server.config.timeout_keep_alive = 0.1  # type: ignore[assignment]

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(request(RETELL, settings))
            await read_response(reader)
            return await reader.read()

    assert asyncio.run(run()) == b""


class ShortTimeouts(Connection):
    CHECK_SECONDS, BODY_SECONDS, HEAD_SECONDS = 0.02, 0.1, 0.5


@pytest.mark.parametrize(("after", "answer"), [(b"\r\n", b"HTTP/1.1 400 "), (b"POST /", b"")])
def test_bytes_after_a_response_do_not_keep_the_connection_open(
    after: bytes, answer: bytes
) -> None:
    server = Server(ShortTimeouts)
    server.config.timeout_keep_alive = 0.1  # type: ignore[assignment]

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await read_response(reader)
            writer.write(after)
            return await reader.read()

    assert asyncio.run(run()).startswith(answer)


def test_a_response_that_is_read_late_causes_no_error(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_handler, "MAX_CACHED_BYTES", 10**7)
    cache_in_memory({"text": "x" * 3_000_000})
    errors: list[dict[str, Any]] = []

    async def run() -> bytes:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        async with Server(ShortTimeouts).connection() as (reader, writer):
            writer.write(request(RETELL, settings, "Connection: close"))
            await asyncio.sleep(0.25)  # longer than all of its timeouts
            return await reader.read()

    assert asyncio.run(run()).endswith(b"}}")
    assert errors == []


@pytest.mark.parametrize("bytes_sent", [0, 5])
def test_a_call_whose_body_does_not_arrive_is_408(settings: Any, bytes_sent: int) -> None:
    class ShortTimeout(Connection):
        CHECK_SECONDS, BODY_SECONDS = 0.02, 0.1

    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")

    async def run() -> bytes:
        async with Server(ShortTimeout).connection() as (reader, writer):
            writer.write(head + b"\r\n\r\n" + body[:bytes_sent])
            return await reader.read()

    assert asyncio.run(run()).startswith(b"HTTP/1.1 408 ")


def test_after_an_unexpected_error_the_asgi_path_answers(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache_in_memory()

    def broken(*_: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(web_services().call_handler, "_hit_response", broken)
    [answer] = responses_to(request(RETELL, settings))
    assert answer.startswith(b"HTTP/1.1 200")
    assert "The fast path failed; the call takes the ASGI path" in caplog.text
