"""A hit is answered at once, before ASGI's way is begun, and with the very answer of that way; what
is not quite plain goes the long way. On a socket, by the server's own protocol."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.replica import of_this_process
from airtable_sync.monitoring.metrics import counters
from siftly import asgi
from siftly.server import protocol
from siftly.server.http import Request, Response
from siftly.server.protocol import GuardedProtocol, Protocol
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import OWN_SETTINGS, VARIABLES, headers_for, path_of, set_up
from webhooks import views
from webhooks.platforms import PLATFORMS
from webhooks.platforms.base import Platform

RETELL = PLATFORMS["retell"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def keep(variables: dict[str, str] = JOHN, number: str = NUMBER, **more: Any) -> None:
    """In this process's memory, as of now."""
    now = int(time.time() * 1000)
    entry = Entry(number, variables, now, "refresh", **{"settings": OWN_SETTINGS, **more})
    of_this_process().keep(entry, saved=True)


@pytest.fixture(autouse=True)
def all_set_up(settings: Any) -> None:
    for each in PLATFORMS.values():
        set_up(each, settings)


def request(
    platform: Platform, settings: Any, *more: str, number: str = NUMBER, body: bytes = b""
) -> bytes:
    body = body or platform.body(number)
    headers = {**headers_for(platform, body, settings), "Host": "testserver"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    first = f"POST {path_of(platform)} HTTP/1.1"
    head = "\r\n".join([first, *lines, f"Content-Length: {len(body)}", *more])
    return head.encode() + b"\r\n\r\n" + body


class Server:
    """One that listens on this machine, with a protocol."""

    def __init__(self, kind: type[GuardedProtocol]) -> None:
        self.kind, self.state = kind, ServerState()
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
        kind = self.kind
        server = await loop.create_server(lambda: kind(self.config, self.state, {}), "127.0.0.1", 0)
        async with server, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            yield reader, writer
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def ask(*requests: bytes, kind: type[GuardedProtocol] = Protocol) -> list[bytes]:
    """The answers to requests that are sent in one piece."""

    async def run() -> list[bytes]:
        async with Server(kind).connection() as (reader, writer):
            writer.write(b"".join(requests))
            return [await one_answer(reader) for _ in requests]

    return asyncio.run(run())


def without_time(answer: bytes) -> bytes:
    return re.sub(rb"total;dur=[0-9.]+", b"total;dur=?", answer)


@pytest.fixture
def no_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> Response:
        raise AssertionError("this call went the long way")

    monkeypatch.setattr(asgi, "webhook", refuse)


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which calls went the long way."""
    went: list[str] = []
    webhook = views.webhook

    async def noted(request: Request, body: bytes, platform: str) -> Response:
        went.append(platform)
        return await webhook(request, body, platform)

    monkeypatch.setattr(asgi, "webhook", noted)
    return went


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_platform_gets_at_once_what_it_gets_the_long_way(name: str, settings: Any) -> None:
    keep()
    sent = request(PLATFORMS[name], settings)
    [short], [long] = ask(sent), ask(sent, kind=GuardedProtocol)
    assert b"x-siftly-source: memory" in short
    assert without_time(short) == without_time(long)


@pytest.mark.usefixtures("no_long_way")
@pytest.mark.parametrize("name", PLATFORMS)
def test_a_hit_of_every_platform_does_without_the_long_way(name: str, settings: Any) -> None:
    keep()
    sent = request(PLATFORMS[name], settings)
    for answer in ask(sent, sent, sent):
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


@hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(list(PLATFORMS)),
    variables=VARIABLES,
    written=st.sampled_from([NUMBER, "0032460234291", "tel:+32460234291", "+32 460 23 42 91"]),
)
def test_whatever_the_variables_and_the_way_of_writing_the_number(
    name: str, variables: dict[str, str], written: str, settings: Any
) -> None:
    keep(variables)
    sent = request(PLATFORMS[name], settings, number=written)
    [short], [long] = ask(sent), ask(sent, kind=GuardedProtocol)
    assert without_time(short) == without_time(long)


def test_an_edit_is_told_with_the_next_call(settings: Any) -> None:
    sent = request(RETELL, settings)
    for name in ("John", "Jane"):
        keep({"customer_name": name})
        assert name.encode() in ask(sent)[0]
        time.sleep(0.002)  # of two readings in one millisecond neither is newer


def test_a_changed_setting_is_told_with_the_next_call(settings: Any) -> None:
    keep(settings={})
    for assistant in ("one", "another"):
        settings.VAPI_ASSISTANT_ID = assistant
        assert f'"{assistant}"'.encode() in ask(request(PLATFORMS["vapi"], settings))[0]


def test_it_is_logged_and_counted_like_any_other(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keep()
    caplog.set_level(logging.INFO)
    ask(request(RETELL, settings))
    [record] = [each for each in caplog.records if "cache hit" in each.getMessage()]
    assert record.getMessage() == f"Redis cache hit for {NUMBER}"
    assert record.__dict__["tier"] == "memory"
    assert counters.counts.answers["retell", "memory"] == 1


@pytest.mark.parametrize(
    ("spoil", "status", "goes"),
    [
        (lambda sent: sent.replace(b"POST /", b"GET /"), b"405", True),
        (lambda sent: sent.replace(b",d=", b",d=0"), b"401", True),
        (lambda sent: sent.replace(b"retell/ ", b"retell/?a=b "), b"200", True),
        (lambda sent: sent.replace(b"HTTP/1.1", b"HTTP/1.0"), b"200", True),
        (lambda sent: sent.replace(b"retell", b"nobody"), b"404", True),
        (lambda sent: sent.replace(b"/retell/ ", b"/retell "), b"200", False),
    ],
)
def test_what_is_not_plain_is_answered_the_long_way(
    settings: Any,
    long_way: list[str],
    spoil: Callable[[bytes], bytes],
    status: bytes,
    goes: bool,
) -> None:
    keep()
    [answer] = ask(spoil(request(RETELL, settings)))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert bool(long_way) is goes


def test_what_memory_does_not_hold_fresh_is_asked_for_the_long_way(
    settings: Any, fake_redis: str, long_way: list[str]
) -> None:
    [answer] = ask(request(RETELL, settings))
    assert (b"x-siftly-source: default" in answer, long_way) == (True, ["retell"])
    old = Entry(NUMBER, JOHN, int(time.time() * 1000) - 20_000_000, "refresh")
    of_this_process().keep(old, saved=True)
    [answer] = ask(request(RETELL, settings))
    assert (b"x-siftly-source: stale" in answer, len(long_way)) == (True, 2)


def test_a_body_that_is_too_large_is_refused_the_long_way(settings: Any) -> None:
    [answer] = ask(request(RETELL, settings, body=b" " * (protocol.LARGEST_BODY + 1)))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_call_larger_than_any_real_one_is_answered_the_long_way(
    settings: Any, long_way: list[str]
) -> None:
    """What is refused is looked at twice, so that must not be much."""
    keep()
    body = RETELL.body(NUMBER) + b" " * protocol.LARGEST_AT_ONCE
    [answer] = ask(request(RETELL, settings, body=body))
    assert (b"x-siftly-source: memory" in answer, long_way) == (True, ["retell"])


def test_what_a_trailer_expects_after_the_whole_call_is_not_promised(
    settings: Any, fake_redis: str
) -> None:
    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    chunked = b"%x\r\n%b\r\n0\r\nExpect: 100-continue\r\n\r\n" % (len(body), body)
    [answer] = ask(head + b"\r\n\r\n" + chunked)
    assert answer.startswith(b"HTTP/1.1 200")


def test_who_waits_for_100_continue_gets_it(settings: Any) -> None:
    keep()
    head, _, body = request(RETELL, settings, "Expect: 100-continue").partition(b"\r\n\r\n")

    async def run() -> tuple[bytes, bytes]:
        async with Server(Protocol).connection() as (reader, writer):
            writer.write(head + b"\r\n\r\n")
            goes_on = await reader.readuntil(b"\r\n\r\n")
            writer.write(body)
            return goes_on, await one_answer(reader)

    goes_on, answer = asyncio.run(run())
    assert goes_on.startswith(b"HTTP/1.1 100")
    assert b"x-siftly-source: memory" in answer


@pytest.mark.usefixtures("no_long_way")
def test_a_body_in_pieces_is_put_together(settings: Any) -> None:
    keep()
    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    chunks = b"".join(b"1\r\n%b\r\n" % bytes([each]) for each in body)

    async def run() -> bytes:
        async with Server(Protocol).connection() as (reader, writer):
            for piece in (head[:9], head[9:], b"\r\n\r\n", chunks[:50], chunks[50:], b"0\r\n\r\n"):
                writer.write(piece)
                await asyncio.sleep(0.01)
            return await one_answer(reader)

    assert b"x-siftly-source: memory" in asyncio.run(run())


def test_answers_come_in_the_order_of_the_requests(settings: Any, fake_redis: str) -> None:
    """Also where a hit was asked for while one that takes long is under way."""
    keep()
    hit, miss = request(RETELL, settings), request(RETELL, settings, number="+32460234277")
    sources = [b"memory", b"default", b"memory", b"default", b"memory"]
    answers = ask(hit, miss, hit, miss, hit)
    assert [re.search(rb"source: (\w+)", each)[1] for each in answers] == sources  # type: ignore[index]


@pytest.mark.usefixtures("no_long_way")
def test_who_wants_the_connection_closed_is_obeyed(settings: Any) -> None:
    keep()

    async def run() -> bytes:
        async with Server(Protocol).connection() as (reader, writer):
            writer.write(request(RETELL, settings, "Connection: close"))
            return await reader.read()

    answer = asyncio.run(run())
    assert b"\r\nconnection: close\r\n\r\n{" in answer


def test_a_server_that_ends_says_so_and_closes(settings: Any) -> None:
    keep()
    server = Server(Protocol)
    server.state.default_headers = [(b"date", b"today"), (b"connection", b"close")]

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(request(RETELL, settings))
            return await reader.read()

    assert b"connection: close\r\n" in asyncio.run(run())


def test_a_call_that_is_coming_in_while_the_server_ends_is_answered(settings: Any) -> None:
    keep()
    sent, server = request(RETELL, settings), Server(Protocol)

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(sent[:-5])
            await asyncio.sleep(0.1)
            for each in list(server.state.connections):
                each.shutdown()
            writer.write(sent[-5:])
            return await reader.read()

    answer = asyncio.run(run())
    assert b"x-siftly-source: memory" in answer
    assert b"connection: close\r\n" in answer


def test_they_count_for_the_recycling_of_workers(settings: Any) -> None:
    keep()
    server, sent = Server(Protocol), request(RETELL, settings)

    async def run() -> None:
        async with server.connection() as (reader, writer):
            for _ in range(3):
                writer.write(sent)
                await one_answer(reader)

    asyncio.run(run())
    assert server.state.total_requests == 3


def test_an_idle_connection_is_closed_after_a_while(settings: Any) -> None:
    keep()

    class Impatient(Protocol):
        LOOK_SECONDS = 0.02

    server = Server(Impatient)
    server.config.timeout_keep_alive = 0.1  # type: ignore[assignment]

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(request(RETELL, settings))
            await one_answer(reader)
            return await reader.read()

    assert asyncio.run(run()) == b""


class InAHurry(Protocol):
    LOOK_SECONDS, BODY_SECONDS, HEAD_SECONDS = 0.02, 0.1, 5.0


@pytest.mark.parametrize("after", [b"\r\n", b"12345"])
def test_what_comes_after_an_answer_keeps_no_connection_for_ever(after: bytes) -> None:
    server = Server(InAHurry)
    server.config.timeout_keep_alive = 0.1  # type: ignore[assignment]
    length = b"Content-Length: %d\r\n" % (0 if after == b"\r\n" else len(after))

    async def run() -> bytes:
        async with server.connection() as (reader, writer):
            writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n")
            await one_answer(reader)
            writer.write(after)
            return await reader.read()

    assert asyncio.run(run()) == b""


def test_an_answer_that_nobody_reads_yet_makes_no_timer_fail(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "LARGEST_KEPT", 10**7)
    keep({"text": "x" * 3_000_000})
    failed: list[dict[str, Any]] = []

    async def run() -> bytes:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: failed.append(said))
        async with Server(InAHurry).connection() as (reader, writer):
            writer.write(request(RETELL, settings, "Connection: close"))
            await asyncio.sleep(0.5)
            return await reader.read()

    assert asyncio.run(run()).endswith(b"}}")
    assert failed == []


@pytest.mark.parametrize("sent_of_it", [0, 5])
def test_a_call_whose_body_does_not_arrive_is_408(settings: Any, sent_of_it: int) -> None:
    class Impatient(Protocol):
        LOOK_SECONDS, BODY_SECONDS = 0.02, 0.1

    head, _, body = request(RETELL, settings).partition(b"\r\n\r\n")

    async def run() -> bytes:
        async with Server(Impatient).connection() as (reader, writer):
            writer.write(head + b"\r\n\r\n" + body[:sent_of_it])
            return await reader.read()

    assert asyncio.run(run()).startswith(b"HTTP/1.1 408 ")


def test_an_unforeseen_error_costs_no_call_its_answer(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep()

    def broken(*_: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(views, "_hit", broken)
    [answer] = ask(request(RETELL, settings))
    assert answer.startswith(b"HTTP/1.1 200")
    assert "A call takes the long way" in caplog.text
