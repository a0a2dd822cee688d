"""Siftly as it is deployed: gunicorn on a socket, in its own processes."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from sandbox.processes import stop
from tests.support.servers import processes as child_processes
from tests.support.servers.ports import free_port
from tests.support.services import platforms
from tests.support.whole_run import RUN_FOLDER, run_folder

ROOT = child_processes.ROOT
KEY = "key_tests"


@dataclass(frozen=True)
class Server:
    url: str
    process: "subprocess.Popen[bytes] | child_processes.Process"
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def call(
        self, number: str, timeout: float = 15, session: requests.Session | None = None
    ) -> requests.Response:
        """Send what Retell sends when this number is called."""
        sent = platforms()["retell"].outgoing_call(number, KEY, "")
        url = f"{self.url}/webhooks/retell/"
        post = session.post if session else requests.post
        return post(url, data=sent.body, headers=dict(sent.headers), timeout=timeout)

    def messages(self) -> list[str]:
        """So far: the server writes them in the background."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line)["message"] for line in lines if line.startswith("{")]

    def ready(self) -> dict[str, Any]:
        state: dict[str, Any] = requests.get(f"{self.url}/readyz", timeout=5).json()
        return state

    def workers(self) -> list[int]:
        """The process ids of the workers (Linux)."""
        parent = str(self.process.pid)
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = status.read_text().rsplit(")", 1)[1].split()
                if fields[1] == parent:
                    found.append(int(status.parent.name))
        return found

    def threads(self) -> int:
        """The most threads that any worker has (Linux)."""
        return max(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in self.workers())

    def kill_workers(self) -> None:
        """Kill all processes. The arbiter is first: it would start new workers."""
        workers = self.workers()
        self.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)


def environment(**variables: str) -> dict[str, str]:
    """The environment of a new process, without the developer's own variables."""
    return {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "SECRET_KEY": os.environ["SECRET_KEY"],
        "LOG_FORMAT": "json",
        "RETELL_API_KEY": KEY,
        # Without a database of its own a process would create one in the checkout.
        "DATABASE_URL": f"sqlite:///{_default_database()}",
        "TMPDIR": os.environ["TMPDIR"],
        RUN_FOLDER: os.environ[RUN_FOLDER],
        **variables,
    }


GUNICORN = ("-m", "gunicorn", "siftly.asgi")


def _default_database() -> Path:
    """Of the processes for which a database does not matter. It is created here, because `check`
    warns of a file that others can read, and not every process that a test starts is ours."""
    file = run_folder() / "default.sqlite3"
    file.touch(mode=0o600)
    return file


@contextlib.contextmanager
def serving(
    folder: Path,
    variables: Mapping[str, str],
    processes: int = 2,
    port: int = 0,
    *,
    root: Path = ROOT,
    command: Sequence[str | Path] = (),
) -> Iterator[Server]:
    """Start a server. `command`, if there is one, starts it in the folder `root`."""
    port = port or free_port()
    env = environment(PORT=str(port), WEB_CONCURRENCY=str(processes), **variables)
    log = folder / "gunicorn.log"
    process: subprocess.Popen[bytes] | child_processes.Process
    if command:
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=root, env=env, stdout=output, stderr=output)
    else:
        log.unlink(missing_ok=True)
        process = child_processes.start(GUNICORN, env, log)
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_ready(server, answers=20 if processes > 1 else 1)
        yield server
    finally:
        stop(process, 15)


def _wait_until_ready(server: Server, answers: int, seconds: float = 60) -> None:
    until, ready = time.monotonic() + seconds, 0
    while time.monotonic() < until and server.process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            # Each answer is from one process, and all of them have to be ready.
            ready = ready + 1 if requests.get(f"{server.url}/readyz", timeout=2).ok else 0
            if ready == answers:
                return
        time.sleep(0.01)
    raise AssertionError(f"Siftly did not become ready:\n{server.log.read_text()}")


def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a management command in its own process."""
    words = ["manage.py", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        status = child_processes.start(words, environment(**variables), output, errors).wait(120)
        return subprocess.CompletedProcess(
            words, status, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8")
        )
