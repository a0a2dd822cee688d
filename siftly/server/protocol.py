"""The HTTP protocol of Siftly's server, with a fast path for cache hits."""

import asyncio
from collections.abc import Callable, Mapping

from siftly.server.http import RawHeaders
from siftly.server.request_limits import LimitedProtocol

# Takes the headers, scheme and body of a POST request. Returns the raw headers and the body of a
# 200 response, or None if the request has to go through ASGI. Never raises.
FastAnswer = Callable[[RawHeaders, str, bytes], tuple[bytes, bytes] | None]

# No real call is larger. A rejected request is read twice, once on each path, so keep it short.
MAX_FAST_PATH_BODY_BYTES = 8 * 1024
_STATUS_LINE = b"HTTP/1.1 200 OK\r\n"


class Protocol(LimitedProtocol):
    """Answers cache hits directly. All other requests go through ASGI.

    The application offers a FastAnswer for each address on this path in its attribute
    `fast_answers`. ASGI needs a task, three messages and a timer for each request, which takes more
    time than the rest of a cache hit (docs/decisions.md)."""

    _fast_answers: Mapping[bytes, FastAnswer] = {}
    _fast_answer: FastAnswer | None = None  # for the current request, while it is on the fast path
    _received_body = b""  # bytes, for speed: nearly every body arrives in one piece
    _default_headers: list[tuple[bytes, bytes]] | None = None
    _default_header_lines: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._fast_answers = getattr(self.app, "fast_answers", {})

    def on_message_begin(self) -> None:
        # For speed, without `super()`: uvicorn would create the ASGI scope, and `_start_asgi` does
        # so when it is needed. This method and the next one repeat LimitedProtocol's lines instead.
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_head, self._head_bytes = True, 0
        self._deadline = self.loop.time() + self.HEAD_SECONDS

    def on_headers_complete(self) -> None:
        fast_answer = self._fast_answers.get(self.url)
        if fast_answer is None or not self._is_fast_path_possible():
            self._start_asgi()
            return
        self._fast_answer = fast_answer
        self._received_body = b""
        self._in_head = False
        self._deadline = self.loop.time() + self.BODY_SECONDS

    def on_body(self, body: bytes) -> None:
        if self._fast_answer is None:
            super().on_body(body)
            return
        self._received_body += body
        if len(self._received_body) > MAX_FAST_PATH_BODY_BYTES:
            self._switch_to_asgi()

    def on_message_complete(self) -> None:
        if self._fast_answer is not None:
            scheme = self.scheme or "http"
            if answer := self._fast_answer(self.headers, scheme, self._received_body):
                self._fast_answer = None
                self._send(*answer)
                return
            self._switch_to_asgi()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Move a request that is arriving to ASGI. uvicorn answers it then. It closes a connection
        without an ASGI request."""
        if self._fast_answer is not None:
            self._switch_to_asgi()
        super().shutdown()

    def _is_fast_path_possible(self) -> bool:
        return (
            self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and self._get_default_header_lines() is not None
        )

    def _switch_to_asgi(self) -> None:
        """Leave the fast path: pass the head, and the body received so far, to ASGI."""
        self._start_asgi()
        super().on_body(self._received_body)

    def _start_asgi(self) -> None:
        # An Expect header in the trailers comes after the body, so there is nothing to continue.
        is_expecting = self.expect_100_continue and self._fast_answer is None
        self._fast_answer = None
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url, self.expect_100_continue = url, is_expecting
        self.headers.extend(headers)  # the scope refers to this list
        super().on_headers_complete()

    def _send(self, headers: bytes, body: bytes) -> None:
        # One write, for speed: it is a system call.
        default = self._get_default_header_lines() or b""
        self.server_state.total_requests += 1
        self._start_head(self.timeout_keep_alive)
        if self.parser.should_keep_alive():
            self.transport.write(b"%b%b%b\r\n%b" % (_STATUS_LINE, default, headers, body))
        else:
            close = b"connection: close\r\n"
            self.transport.write(b"%b%b%b%b\r\n%b" % (_STATUS_LINE, default, headers, close, body))
            self.transport.close()

    def _get_default_header_lines(self) -> bytes | None:
        """The headers of every response. None while the server shuts down: then connections have
        to be closed, which the ASGI path does.

        For speed, they are encoded once for each list. uvicorn creates a new list every second."""
        headers = self.server_state.default_headers
        if self._default_headers is not headers:
            is_shutting_down = any(name == b"connection" for name, _ in headers)
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self._default_header_lines = None if is_shutting_down else lines
            self._default_headers = headers
        return self._default_header_lines

    def _is_body_missing(self) -> bool:
        return self._fast_answer is not None or super()._is_body_missing()
