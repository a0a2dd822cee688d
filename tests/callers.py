"""Callers in numbers, on connections of their own, without a thread for each."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load import request_bytes
from tests.server import KEY, Server
from webhooks.platforms import PLATFORMS


@dataclass(frozen=True)
class Answered:
    number: str
    status: int
    source: str
    variables: dict[str, str]
    seconds: float


def call_all(server: Server, numbers: Sequence[str], pause: float = 0.0) -> list[Answered]:
    """Call these numbers, whatever becomes of the earlier calls; `pause` seconds between two."""
    return asyncio.run(_call_all(server.port, numbers, pause))


async def _call_all(port: int, numbers: Sequence[str], pause: float) -> list[Answered]:
    calls = []
    for number in numbers:
        calls.append(asyncio.create_task(_call(port, number)))
        await asyncio.sleep(pause)
    return list(await asyncio.gather(*calls))


async def _call(port: int, number: str) -> Answered:
    sent = PLATFORMS["retell"].place(number, KEY)
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes("/webhooks/retell/", dict(sent.headers), sent.body))
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    writer.close()
    return Answered(
        number,
        int(status.split()[1]),
        headers.get("x-siftly-source", ""),
        body["call_inbound"]["dynamic_variables"],
        time.monotonic() - started,
    )
