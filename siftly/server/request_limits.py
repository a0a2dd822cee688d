"""Limits for requests: how large a head may be, and how long a request may take to arrive."""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_BODY_BYTES = 64 * 1024  # the ASGI application checks it while it reads the body

_REQUEST_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 45\r\n\r\n{"error": "The body did not arrive in time."}'
)
_NEVER = float("inf")


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits. httptools does not limit the size of a request's head, and
    uvicorn does not limit how long a request may take to arrive.

    For speed, each connection has one timer, which checks every second. Two timers for each
    request took a tenth of a cache hit's time."""

    MAX_HEAD_BYTES = 64 * 1024
    HEAD_SECONDS = 30.0
    BODY_SECONDS = 10.0
    CHECK_SECONDS = 1.0

    _in_head = True
    _head_bytes = 0
    _deadline = _NEVER  # for the bytes that must arrive next, by the event loop's clock
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._deadline = self.loop.time() + self.HEAD_SECONDS
        self._check_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head(self.HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._deadline = self.loop.time() + self.BODY_SECONDS
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._deadline = _NEVER
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.MAX_HEAD_BYTES:
            self.transport.close()
        if self._deadline == _NEVER and self.cycle is not None and self.cycle.response_complete:
            # uvicorn sets no timeout for data that arrives after the response.
            self._start_head(self.timeout_keep_alive)

    def _start_head(self, seconds: float) -> None:
        self._in_head, self._head_bytes = True, 0
        self._deadline = self.loop.time() + seconds

    def _check_deadline(self) -> None:
        if self.loop.time() <= self._deadline:
            self._timer = self.loop.call_later(self.CHECK_SECONDS, self._check_deadline)
            return
        if self._is_body_missing() and not self.pipeline and not self.transport.is_closing():
            self.transport.write(_REQUEST_TIMEOUT)
        self.transport.close()

    def _is_body_missing(self) -> bool:
        return not self._in_head and not self.cycle.response_started
