"""Ports of this machine for test servers."""

import random
import socket

# Below the ports that the kernel gives to outgoing connections (32768 and more on Linux): between
# `free_port` and the start of the server, no connection can take the port.
FIRST, LAST = 15_000, 32_000
_random = random.SystemRandom()  # the seed of a test run must not lead all processes to one port


def free_port() -> int:
    """A port that nothing uses, and that no test run on this machine has given out.

    Until this process ends it keeps the UDP port of the same number, as a sign for the others."""
    while True:
        port = _random.randint(FIRST, LAST)
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if _can_bind(reservation, port) and _is_free(port):
            reservation.detach()
            return port
        reservation.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _can_bind(probe, port)


def _can_bind(free: socket.socket, port: int) -> bool:
    try:
        free.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
