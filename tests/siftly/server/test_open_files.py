"""Each connection needs a file descriptor. Without a free one, a process would accept none."""

import sys
from pathlib import Path

import pytest

from siftly.server.connection import Connection
from tests.support.servers.server import ROOT, Server, serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def gunicorn_with(limit: str) -> list[str]:
    return ["sh", "-c", f"ulimit {limit} && exec {sys.executable} -m gunicorn siftly.asgi"]


def soft_limit(server: Server) -> int:
    limits = Path(f"/proc/{server.workers()[0]}/limits").read_text()
    [line] = [each for each in limits.splitlines() if each.startswith("Max open files")]
    return int(line.split()[3])


def test_a_worker_raises_its_own_limit(tmp_path: Path) -> None:
    with serving(tmp_path, {}, 1, root=ROOT, command=gunicorn_with("-Sn 256")) as server:
        assert soft_limit(server) > Connection.MAX_CONNECTIONS


def test_a_limit_of_the_system_that_is_too_low_is_a_warning(tmp_path: Path) -> None:
    with serving(tmp_path, {}, 1, root=ROOT, command=gunicorn_with("-n 300")) as server:
        assert soft_limit(server) == 300
        expected = "The system allows this process 300 open files"
        wait_until(lambda: any(expected in each for each in server.messages()))
