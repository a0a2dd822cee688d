"""A slow sandbox serves many requests at the same time in one thread."""

import asyncio
import threading
import time

import pytest

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox

MANY = 400


async def status_line(port: int, token: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = "/v0/appSiftlySandbox0/client?pageSize=1"
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "", ""]
    writer.write("\r\n".join(lines).encode())
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return status


async def all_status_lines(sandbox: Sandbox) -> list[bytes]:
    return await asyncio.gather(*(status_line(sandbox.port, sandbox.token) for _ in range(MANY)))


@pytest.mark.slow
def test_hundreds_of_requests_wait_at_the_same_time() -> None:
    with Sandbox([linked_base()], latency=0.5, requests_per_second=None) as sandbox:
        threads = set(threading.enumerate())
        began = time.monotonic()
        statuses = asyncio.run(all_status_lines(sandbox))
        assert set(statuses) == {b"HTTP/1.1 200 OK\r\n"}
        assert 0.5 <= time.monotonic() - began < MANY * 0.5 / 5
        assert set(threading.enumerate()) <= threads
