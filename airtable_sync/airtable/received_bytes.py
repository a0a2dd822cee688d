"""Limits all bytes of a response, also those that http.client reads without giving them to anybody:
heads of `100 Continue`, the response's own head, the frames of chunks, and trailers."""

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any

from airtable_sync.airtable.errors import Unavailable

# A page has at most 100 records, and usually less than 1 MiB. If each record has one long text that
# is full (100,000 characters of three bytes), a page has 30 MB. Larger ones are no real customers.
MAX_MIB = 32
MAX_BYTES = MAX_MIB * 1024 * 1024
MAX_OTHER_BYTES = 1024 * 1024  # what is no body

TOO_LARGE = f"Airtable's response is larger than {MAX_MIB} MiB."


class _ReceivedBytes(io.RawIOBase):
    """Raises TimeoutError or Unavailable."""

    def __init__(self, source: io.RawIOBase, until: float) -> None:
        self._source, self._until = source, until
        self._left = MAX_BYTES + MAX_OTHER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._until:
            raise TimeoutError
        received = self._source.readinto(buffer)
        self._left -= received or 0
        if self._left < 0:
            raise Unavailable(TOO_LARGE)
        return received

    def close(self) -> None:
        self._source.close()
        super().close()


def limited_response(until: Callable[[], float]) -> type[http.client.HTTPResponse]:
    """For http.client's `response_class`."""

    class LimitedResponse(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
            super().__init__(sock, *arguments, **named)
            self.fp.close()
            source = sock.makefile("rb", buffering=0)
            self.fp = io.BufferedReader(_ReceivedBytes(source, until()))

    return LimitedResponse
