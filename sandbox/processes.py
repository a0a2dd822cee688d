"""Processes that were started, and have to end."""

import subprocess
from typing import Protocol


class Process(Protocol):
    """As subprocess.Popen knows it."""

    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


def stop(process: Process, seconds: float) -> None:
    """Ask it to end; it has so long before it is killed."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
