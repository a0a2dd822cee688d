"""When a request arrived at this machine, also if this process was too busy to read it then."""

import socket
import sys
import time

LAST_DATA_RECEIVED = slice(52, 56)  # tcpi_last_data_recv in `struct tcp_info`, milliseconds
MAX_ROUNDING_SECONDS = 0.01  # the kernel counts in steps of up to this long


def arrival_time(connection: socket.socket) -> float:
    """When the last bytes of this connection arrived: of time.monotonic(), never too early, and at
    most 20 ms too late. Only Linux knows it; elsewhere it is now."""
    now = time.monotonic()
    if sys.platform != "linux":
        return now
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_RECEIVED.stop)
    seconds = int.from_bytes(info[LAST_DATA_RECEIVED], sys.byteorder) / 1000
    return now - max(0.0, seconds - MAX_ROUNDING_SECONDS)
