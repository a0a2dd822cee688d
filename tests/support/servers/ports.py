"""Ports of this machine for test servers."""

import fcntl
import random
import socket

from tests.support.whole_run import run_folder

# Below the ports that the kernel gives to outgoing connections (32768 and more on Linux): between
# `free_port` and the start of the server, no connection can take the port.
FIRST, LAST = 15_000, 32_000


def free_port() -> int:
    """A port that nothing uses, and that this test run has not given out before."""
    with (run_folder() / "last-port").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = int(file.read() or random.randint(FIRST, LAST))
        while True:
            port = port + 1 if port < LAST else FIRST
            if _is_free(port):
                break
        file.truncate(0)
        file.write(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
