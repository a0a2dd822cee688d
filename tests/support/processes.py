"""Processes that are started by the forker: as `subprocess` would start and know them."""

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

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


class Process:
    """As much of subprocess.Popen as is needed."""

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
            with suppress(ProcessLookupError):  # it ended, and that was not heard of yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()


class _Forker:
    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forking_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._one_at_a_time = threading.Lock()
        self._processes: dict[int, Process] = {}
        self._began = threading.Semaphore(0)
        self._newest: Process
        threading.Thread(target=self._listen, name="forker", daemon=True).start()

    def fork(self, **wanted: object) -> Process:
        assert self._program.stdin
        with self._one_at_a_time:
            print(json.dumps(wanted), file=self._program.stdin, flush=True)
            assert self._began.acquire(timeout=START_SECONDS), "The forker does not answer."
            return self._newest

    def _listen(self) -> None:
        assert self._program.stdout
        for line in self._program.stdout:
            told = json.loads(line)
            if "began" in told:
                self._newest = self._processes[told["began"]] = Process(told["began"])
                self._began.release()
            else:
                self._processes.pop(told["ended"]).end(told["status"])


_forker = cache(_Forker)


def start(
    arguments: Sequence[str], env: Mapping[str, str], stdout: Path, stderr: Path | None = None
) -> Process:
    """`python` with these arguments, in the project's folder; what it writes is appended to files.
    It need not be told apart from one that was started from nothing, but by its quickness."""
    paths = {"stdout": str(stdout), "stderr": str(stderr or stdout)}
    return _forker().fork(arguments=arguments, env=dict(env), **paths)
