"""Callers: many calls at once, or callers that call continuously."""

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from benchmarks.load import request_bytes
from tests.support.cast import NUMBER
from tests.support.servers.server import KEY, Server, manage
from tests.support.services import platforms
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Answered:
    number: str
    status: int
    source: str
    variables: dict[str, str]
    called_at: float  # time.monotonic()
    answered_at: float

    @property
    def seconds(self) -> float:
        return self.answered_at - self.called_at


def call_all(server: Server, numbers: Sequence[str], pause: float = 0.0) -> list[Answered]:
    """Call these numbers, `pause` seconds apart, without waiting for earlier answers."""
    return asyncio.run(_call_all(server.port, numbers, pause))


async def _call_all(port: int, numbers: Sequence[str], pause: float) -> list[Answered]:
    calls = []
    for number in numbers:
        calls.append(asyncio.create_task(_call(port, number)))
        await asyncio.sleep(pause)
    return list(await asyncio.gather(*calls))


async def _call(port: int, number: str) -> Answered:
    sent = platforms()["retell"].outgoing_call(number, KEY, "")
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request_bytes("/webhooks/retell/", dict(sent.headers), sent.body))
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in pairs}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
    finally:
        writer.close()
    return Answered(
        number,
        int(status.split()[1]),
        headers.get("x-siftly-source", ""),
        body["call_inbound"]["dynamic_variables"],
        started,
        time.monotonic(),
    )


class Calls:
    """Callers that call continuously and record every answer. With `kept_open` each keeps its
    connection."""

    def __init__(
        self, server: Server, number: str = NUMBER, callers: int = 4, *, kept_open: bool = False
    ) -> None:
        self.server, self.number, self.kept_open = server, number, kept_open
        self.answers: list[tuple[float, int, str, dict[str, str]]] = []
        self.errors: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(i,)) for i in range(callers)]
        self._called = [server] * callers  # the server of each caller's last call

    def _call(self, caller: int) -> None:
        session = requests.Session() if self.kept_open else None
        while not self._stop.is_set():
            started = time.perf_counter()
            self._called[caller] = server = self.server
            try:
                response = server.call(self.number, session=session)
            except requests.RequestException as error:
                self.errors.append(error)
                continue
            spent = time.perf_counter() - started
            source = response.headers.get("X-Siftly-Source", "")
            variables = response.json()["call_inbound"]["dynamic_variables"]
            self.answers.append((spent, response.status_code, source, variables))
            time.sleep(0.01)

    def __enter__(self) -> "Calls":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def switch_to(self, server: Server) -> None:
        """Returns when no call of another server is under way."""
        self.server = server
        wait_until(lambda: all(each is server for each in self._called))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def median(self) -> float:
        return statistics.median(spent for spent, *_ in self.answers)

    def p99(self) -> float:
        return statistics.quantiles([spent for spent, *_ in self.answers], n=100)[98]


def warm(variables: dict[str, str], server: Server) -> None:
    """Refresh, and wait until every process answers from memory."""
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    until = time.monotonic() + 10
    hits = 0
    while hits < 20:
        assert time.monotonic() < until
        hits = hits + 1 if server.call(NUMBER).headers["X-Siftly-Source"] == "memory" else 0
