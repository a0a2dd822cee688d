"""A load generator in a process of its own. Each of its connections sends its next request when it
has received the response to the last one."""

import asyncio
import gc
import re
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from typing import cast

import uvloop

from benchmarks.cpu_cores import CLIENT, bind

LAST_RESPONSES_SECONDS = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """The connections together send the `requests` in turn."""

    requests: Sequence[bytes]
    connections: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    responses: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float


def request_bytes(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def load_generator() -> ProcessPoolExecutor:
    """The process that runs `measure`."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare)


def measure(port: int, load: Load) -> Measured:
    """Raises RuntimeError if a response is not a 200."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(port, load))


def _prepare() -> None:
    bind(0, CLIENT)
    gc.disable()


async def _measure(port: int, load: Load) -> Measured:
    loop = asyncio.get_running_loop()
    run = _Run(cycle(load.requests), time.perf_counter() + load.seconds, [], [])
    started = time.perf_counter()
    for _ in range(load.connections):
        run.ended.append(loop.create_future())
        connection = _Connection(run, run.ended[-1])
        await loop.create_connection(
            lambda connection=connection: connection,  # type: ignore[misc]  # mypy can't infer it
            "127.0.0.1",
            port,
        )
    await asyncio.wait_for(asyncio.gather(*run.ended), load.seconds + LAST_RESPONSES_SECONDS)
    seconds = time.perf_counter() - started
    percentiles = statistics.quantiles(run.times, n=100)
    return Measured(
        len(run.times), len(run.times) / seconds, percentiles[49] * 1000, percentiles[98] * 1000
    )


@dataclass(slots=True)
class _Run:
    requests: "cycle[bytes]"
    until: float
    times: list[float]
    ended: "list[asyncio.Future[None]]"


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, ended: "asyncio.Future[None]") -> None:
        self._run, self._ended = run, ended
        self._response = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def _send(self) -> None:
        self._response = b""
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._run.requests))

    def data_received(self, data: bytes) -> None:
        self._response += data
        head = self._response.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._response)
        if not length or not self._response.startswith(b"HTTP/1.1 200"):
            self._fail(f"No length, or not a 200: {self._response[:head].decode()}")
        elif len(self._response) == head + 4 + int(length[1]):
            self._response_received()

    def _response_received(self) -> None:
        now = time.perf_counter()
        self._run.times.append(now - self._sent_at)
        if now < self._run.until:
            self._send()
        elif not self._ended.done():
            self._ended.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._fail("The server closed the connection.")

    def _fail(self, message: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(RuntimeError(message))
