"""Stops child processes."""

import subprocess
from typing import Protocol


class Process(Protocol):
    """The part of subprocess.Popen that `stop` uses."""

    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


def stop(process: Process, seconds: float) -> None:
    """Terminate a process, and kill it if it has not ended after these seconds."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
