"""A load generator in a process of its own: so many connections, each sending its next request when
the answer is there."""

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

import uvloop

from benchmarks.cores import CLIENT, pin

PATIENCE_SECONDS = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """`requests` are sent in turn; by one connection after another."""

    requests: Sequence[bytes]
    connections: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    answers: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float


def request_bytes(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def generator() -> ProcessPoolExecutor:
    """The process to `measure` in."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare)


def measure(port: int, load: Load) -> Measured:
    """Answers other than 200 end the measurement with an error."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(port, load))


def _prepare() -> None:
    pin(0, CLIENT)
    gc.disable()


async def _measure(port: int, load: Load) -> Measured:
    loop = asyncio.get_running_loop()
    run = _Run(cycle(load.requests), time.perf_counter() + load.seconds, [], [])
    started = time.perf_counter()
    for _ in range(load.connections):
        run.ended.append(loop.create_future())
        caller = _Caller(run, run.ended[-1])
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.wait_for(asyncio.gather(*run.ended), load.seconds + PATIENCE_SECONDS)
    spent = time.perf_counter() - started
    cuts = statistics.quantiles(run.times, n=100)
    return Measured(len(run.times), len(run.times) / spent, cuts[49] * 1000, cuts[98] * 1000)


@dataclass(slots=True)
class _Run:
    requests: "cycle[bytes]"
    until: float
    times: list[float]
    ended: "list[asyncio.Future[None]]"


class _Caller(asyncio.Protocol):
    def __init__(self, run: _Run, ended: "asyncio.Future[None]") -> None:
        self._run, self._ended = run, ended
        self._answer = b""

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._answer = b""
        self._asked_at = time.perf_counter()
        self._transport.write(next(self._run.requests))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._answer)
        if not length or not self._answer.startswith(b"HTTP/1.1 200"):
            self._fail(f"Without a length, or no 200: {self._answer[:head].decode()}")
        elif len(self._answer) == head + 4 + int(length[1]):
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self._run.times.append(now - self._asked_at)
        if now < self._run.until:
            self._ask()
        elif not self._ended.done():
            self._ended.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._fail("The server closed the connection.")

    def _fail(self, sentence: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(RuntimeError(sentence))
