"""Processes that were started, and have to end."""

import subprocess


def stop(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Ask it to end; it has so long before it is killed."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
