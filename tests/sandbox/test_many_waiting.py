"""A slow sandbox holds many requests at once, on one thread."""

import asyncio
import threading
import time

from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox

MANY = 400


async def ask(port: int, token: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = "/v0/appSiftlySandbox0/client?pageSize=1"
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "", ""]
    writer.write("\r\n".join(lines).encode())
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return status


async def ask_all(sandbox: Sandbox) -> list[bytes]:
    return await asyncio.gather(*(ask(sandbox.port, sandbox.token) for _ in range(MANY)))


def test_hundreds_of_requests_wait_side_by_side() -> None:
    with Sandbox([linked_base()], latency=0.5, requests_per_second=None) as sandbox:
        threads = threading.active_count()
        began = time.monotonic()
        statuses = asyncio.run(ask_all(sandbox))
        assert set(statuses) == {b"HTTP/1.1 200 OK\r\n"}
        assert 0.5 <= time.monotonic() - began < 3
        assert threading.active_count() == threads
