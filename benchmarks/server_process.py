"""Starts Siftly, or a server that it is compared with, in processes of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cpu_cores import CORES, SERVER, bind
from benchmarks.environment import ROOT

_GUNICORN = (sys.executable, "-m", "gunicorn")
_UVICORN = (sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools")
SIFTLY = (*_GUNICORN, "siftly.asgi")
EMPTY_ASGI = (*_GUNICORN, "benchmarks.baselines.empty_asgi:application")
EMPTY_VIEW = (*_GUNICORN, "benchmarks.baselines.empty_django_view:application")
FASTAPI = (*_UVICORN, "--no-access-log", "benchmarks.baselines.fastapi_app:application")
_FLASK_SETTINGS = ("-c", "python:benchmarks.baselines.flask_gunicorn")
FLASK = (*_GUNICORN, *_FLASK_SETTINGS, "benchmarks.baselines.flask_app:application")
NO_VARIABLES: Mapping[str, str] = {}
READY_RESPONSES = 20  # in a row: each process answers for itself
READY_SECONDS = 60


@dataclass(frozen=True)
class ServerProcess:
    port: int
    process: "subprocess.Popen[bytes]"

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers, or uvicorn's own (Linux)."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(each) for each in Path(children).read_text().split()] or [self.process.pid]

    def cpu_seconds(self) -> float:
        """The processor time of its workers so far (Linux); 0 elsewhere."""
        if not CORES:
            return 0.0
        return sum(
            _cpu_seconds(each)
            for pid in self.workers()
            for each in Path(f"/proc/{pid}/task").iterdir()
        )

    def is_ready(self) -> bool:
        """Raises URLError if the process has ended."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1).close()
        except urllib.error.HTTPError as error:
            return error.code == 404  # a baseline, which has no such address
        except OSError:
            if self.process.poll() is not None:
                raise
            return False
        return True


def _cpu_seconds(thread: Path) -> float:
    try:
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    except OSError:  # the thread has ended
        return 0.0


@contextlib.contextmanager
def serving(
    command: Sequence[str] = SIFTLY,
    cores: set[int] = SERVER,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[ServerProcess]:
    """A server that is ready, its log in a file. It has a core of its own, unless other `cores` are
    given."""
    with starting(command, cores, variables) as server:
        _wait_until_ready(server)
        yield server


@contextlib.contextmanager
def starting(
    command: Sequence[str] = SIFTLY,
    cores: set[int] = SERVER,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[ServerProcess]:
    """A server that was just started."""
    port = int(variables.get("PORT", 0)) or free_port()
    address = ("--port", str(port)) if "uvicorn" in command else ("--bind", f"127.0.0.1:{port}")
    arguments = [*command, *address]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            arguments, cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=log
        )
        bind(process.pid, cores)
        try:
            yield ServerProcess(port, process)
        except urllib.error.URLError:
            log.seek(0)
            print(log.read().decode()[-2000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: ServerProcess) -> None:
    ready, until = 0, time.monotonic() + READY_SECONDS
    while ready < READY_RESPONSES:
        if time.monotonic() > until:
            raise RuntimeError(f"The server was not ready within {READY_SECONDS} s.")
        ready = ready + 1 if server.is_ready() else 0
        if not ready:
            time.sleep(0.05)
