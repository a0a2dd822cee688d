"""Starts Python processes faster than `subprocess`, through `forking_server`."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60


class Process:
    """The methods of subprocess.Popen that tests need."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and `end` was not called yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()


class _ForkingServer:
    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.support.servers.forking_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        self._processes: dict[int, Process] = {}
        self._started = threading.Semaphore(0)
        self._newest_process: Process
        threading.Thread(target=self._listen, name="forking-server", daemon=True).start()

    def fork(self, **options: object) -> Process:
        assert self._program.stdin
        with self._lock:
            print(json.dumps(options), file=self._program.stdin, flush=True)
            assert self._started.acquire(timeout=START_SECONDS), "The forking server is silent."
            return self._newest_process

    def _listen(self) -> None:
        assert self._program.stdout
        for line in self._program.stdout:
            event = json.loads(line)
            if "started" in event:
                pid = event["started"]
                self._newest_process = self._processes[pid] = Process(pid)
                self._started.release()
            else:
                self._processes.pop(event["ended"]).end(event["status"])

    def stop(self) -> None:
        """The processes that it has started continue."""
        with self._program:
            self._program.stdin.close()  # type: ignore[union-attr]


_forking_server = cache(_ForkingServer)


def stop_forking_server() -> None:
    if _forking_server.cache_info().currsize:
        _forking_server().stop()
        _forking_server.cache_clear()


def start(
    arguments: Sequence[str], env: Mapping[str, str], stdout: Path, stderr: Path | None = None
) -> Process:
    """Start `python` with these arguments in the project's folder. Its output is appended to the
    files. The process behaves like one that `subprocess` starts."""
    paths = {"stdout": str(stdout), "stderr": str(stderr or stdout)}
    return _forking_server().fork(arguments=arguments, env=dict(env), **paths)
