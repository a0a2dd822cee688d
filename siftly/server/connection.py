"""One client's connection: how much is read at a time, and how long each step may take. Plain cache
hits are answered here; everything else goes to h11 and ASGI, unchanged."""

import asyncio
import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

import h11

from siftly.server.fast_path import FastAnswer, plain_call
from siftly.server.h11_protocol import StrictProtocol

logger = logging.getLogger(__name__)

READ_BYTES = 16 * 1024
# h11 needs some 20 microseconds for a line of a head, or a chunk of a body, and the others wait.
MAX_LINES_PER_READ = 500
_STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
_REQUEST_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 45\r\n\r\n{"error": "The body did not arrive in time."}'
)


class Step(Enum):
    """What the connection waits for."""

    REQUEST = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    RESPONSE = "the application's response"


class Connection(asyncio.BufferedProtocol):
    """uvicorn builds one for each connection, with its own arguments.

    It reads small pieces, so that one client does not keep the others waiting. h11 stops reading
    while a request waits for its response: what follows stays with the client. For speed, one timer
    checks the time limits every second."""

    HEAD_SECONDS = 10.0
    BODY_SECONDS = 10.0
    WRITE_SECONDS = 30.0  # without progress
    CHECK_SECONDS = 1.0
    MAX_CONNECTIONS = 2000  # of one process

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._server_state = server_state
        self._h11 = StrictProtocol(config, server_state, app_state, self._loop)
        self._h11.owner = self
        self._fast_answers: Mapping[bytes, FastAnswer] = getattr(self._h11.app, "fast_answers", {})
        self._limits = {
            Step.REQUEST: float(config.timeout_keep_alive),
            Step.HEAD: self.HEAD_SECONDS,
            Step.BODY: self.BODY_SECONDS,
            Step.RESPONSE: float("inf"),  # the application has its own limits
        }
        self._arriving = b""  # a plain call whose body is incomplete
        self._may_h11_be_busy = False
        self._buffer = bytearray()
        self._is_write_paused = False
        self.step = Step.REQUEST
        self.waits_since = self._last_written_at = self._loop.time()
        self._deadline = self.waits_since + self.HEAD_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._default_lines: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._h11.connection_made(self._transport)
        self._check()
        if len(self._h11.connections) > self.MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._h11.connection_lost(exc)

    def get_buffer(self, _: int) -> bytearray:
        self._buffer = bytearray(READ_BYTES)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(memoryview(self._buffer)[:nbytes])
        self._buffer = bytearray()
        if self._arriving or self._may_take_fast_path():
            self._receive_plain(self._arriving + data)
        else:
            self._pass_on(data)

    def eof_received(self) -> None:
        self._h11.eof_received()

    def pause_writing(self) -> None:
        self._is_write_paused = True
        self._h11.pause_writing()

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._last_written_at = self._loop.time()
        self._h11.resume_writing()

    def _may_take_fast_path(self) -> bool:
        return (
            self._is_h11_idle()
            and not self._is_write_paused
            and not self._transport.is_closing()
            and self._get_default_lines() is not None
        )

    def _is_h11_idle(self) -> bool:
        """For speed, h11 is asked only if it has been given something since it was idle."""
        if self._may_h11_be_busy:
            self._may_h11_be_busy = not self._h11.is_between_requests
        return not self._may_h11_be_busy

    def _receive_plain(self, data: bytes) -> None:
        call = plain_call(data, self._fast_answers)
        if call is None:
            self._arriving = b""
            self._pass_on(data)
            return
        fast_answer, headers, body_start, end = call
        if len(data) < end:
            if not self._arriving:
                self._start(Step.BODY)
            self._arriving = data
            return
        self._arriving = b""
        scheme = self._h11.scheme or "http"
        # What follows a call belongs to the next request.
        answer = fast_answer(headers, scheme, data[body_start:]) if len(data) == end else None
        if answer:
            self._send(*answer)
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        if data.count(b"\r\n") > MAX_LINES_PER_READ:
            self._h11.send_400_response("The request has too many lines, or too small chunks.")
            return
        self._may_h11_be_busy = True
        self._h11.data_received(data)
        self._update_step()

    def before_shutdown(self) -> None:
        """uvicorn answers a request that is arriving, and closes a connection without one."""
        data, self._arriving = self._arriving, b""
        if data:
            self._pass_on(data)

    def _send(self, headers: bytes, body: bytes) -> None:
        # One write, for speed: it is a system call.
        default = self._get_default_lines() or b""
        self._transport.write(b"%b%b%b\r\n%b" % (_STATUS_LINE, default, headers, body))
        self._server_state.total_requests += 1
        self._start(Step.REQUEST)

    def _get_default_lines(self) -> bytes | None:
        """The headers of every response. None while the server shuts down: then connections have
        to be closed, which uvicorn does. For speed, they are encoded once for each list. uvicorn
        creates a new list every second."""
        headers = self._server_state.default_headers
        if self._default_headers is not headers:
            is_shutting_down = any(name == b"connection" for name, _ in headers)
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._default_lines = None if is_shutting_down else lines
            self._default_headers = headers
        return self._default_lines

    def _make_room(self) -> None:
        """Close the connection that has waited longest for a request; this one if none waits."""
        owners = [
            cast("Connection", cast("StrictProtocol", each).owner) for each in self._h11.connections
        ]
        waiting = [each for each in owners if each.step in (Step.REQUEST, Step.HEAD)]
        logger.warning("More than %d connections are open: one is closed.", self.MAX_CONNECTIONS)
        min(waiting, key=lambda each: each.waits_since, default=self).abort()

    def abort(self) -> None:
        self._transport.abort()

    def _update_step(self) -> None:
        step = self._current_step()
        if step is not self.step:
            self._start(step)

    def _current_step(self) -> Step:
        client = self._h11.conn.their_state
        if self._arriving or client is h11.SEND_BODY:
            return Step.BODY
        if client is not h11.IDLE:
            return Step.RESPONSE
        return Step.HEAD if self._h11.has_unread_bytes else Step.REQUEST

    def _start(self, step: Step) -> None:
        self.step = step
        self.waits_since = self._loop.time()
        self._deadline = self.waits_since + self._limits[step]

    def _check(self) -> None:
        self._timer = self._loop.call_later(self.CHECK_SECONDS, self._check)
        self._update_step()
        now = self._loop.time()
        if not self._transport.get_write_buffer_size():
            self._last_written_at = now
        if now > self._last_written_at + self.WRITE_SECONDS:
            self._transport.abort()
        elif now > self._deadline and not self._transport.is_closing():
            if self.step is Step.BODY and self._h11.can_respond:
                self._transport.write(_REQUEST_TIMEOUT)
            self._transport.close()
