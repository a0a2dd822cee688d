"""How requests arrive: uvicorn's protocol, with limits, and with a short way for calls that can be
answered at once."""

import asyncio
from collections.abc import Callable, Mapping

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from siftly.server.http import RawHeaders

# From headers, scheme and body of a POST: the headers, as they go over the wire, and the body of an
# answer that can be given at once; None if it can't. Never raises.
FastAnswer = Callable[[RawHeaders, str, bytes], tuple[bytes, bytes] | None]

LARGEST_BODY = 64 * 1024
LARGEST_AT_ONCE = 8 * 1024  # no real call is larger; what is refused is looked at twice
OK = b"HTTP/1.1 200 OK\r\n"
TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 45\r\n\r\n{"error": "The body did not arrive in time."}'
)


_NEVER = float("inf")


class GuardedProtocol(HttpToolsProtocol):
    """httptools has no limit of its own for the size of a request's head, nor uvicorn one for how
    long a request may take to arrive. One coarse timer a connection: two for each request would
    cost a hit a tenth of its time."""

    HEAD_BYTES = 64 * 1024
    HEAD_SECONDS = 30.0
    BODY_SECONDS = 10.0
    LOOK_SECONDS = 1.0

    _in_head = True
    _head_bytes = 0
    _due = _NEVER  # when what is awaited has to be there, by the loop's clock
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due = self.loop.time() + self.HEAD_SECONDS
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._due = self.loop.time() + self.HEAD_SECONDS

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._due = self.loop.time() + self.BODY_SECONDS
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._due = _NEVER
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.HEAD_BYTES:
            self.transport.close()
        if self._due == _NEVER and self.cycle is not None and self.cycle.response_complete:
            self._await_next()  # uvicorn does not for what comes after an answer

    def _await_next(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._due = self.loop.time() + self.timeout_keep_alive

    def _look(self) -> None:
        if self.loop.time() <= self._due:
            self._timer = self.loop.call_later(self.LOOK_SECONDS, self._look)
            return
        if self._awaits_body() and not self.pipeline and not self.transport.is_closing():
            self.transport.write(TOO_SLOW)
        self.transport.close()

    def _awaits_body(self) -> bool:
        return not self._in_head and not self.cycle.response_started


class Protocol(GuardedProtocol):
    """Asks the application first whether it can answer at once (`at_once`, by address). The way of
    ASGI, with a task, messages there and back and a timer, costs a hit more than all else it does;
    whatever is not quite plain goes that way (docs/decisions.md)."""

    _at_once: Mapping[bytes, FastAnswer] = {}
    _ask: FastAnswer | None = None  # of the request that is coming in
    _gathered = b""  # mostly comes in one piece

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._at_once = getattr(self.app, "at_once", {})

    def on_message_begin(self) -> None:
        """Without ASGI's scope, which is made when it is needed."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_head, self._head_bytes = True, 0
        self._due = self.loop.time() + self.HEAD_SECONDS

    def on_headers_complete(self) -> None:
        ask = self._at_once.get(self.url)
        if ask is None or not self._is_plain():
            self._begin_the_long_way()
            return
        self._ask = ask
        self._gathered = b""
        self._in_head, self._due = False, self.loop.time() + self.BODY_SECONDS

    def on_body(self, body: bytes) -> None:
        if self._ask is None:
            super().on_body(body)
            return
        self._gathered += body
        if len(self._gathered) > LARGEST_AT_ONCE:
            self._go_the_long_way()

    def on_message_complete(self) -> None:
        if self._ask is not None:
            if answer := self._ask(self.headers, self.scheme or "http", self._gathered):
                self._ask = None
                self._send(*answer)
                return
            self._go_the_long_way()
        super().on_message_complete()

    def shutdown(self) -> None:
        if self._ask is not None:  # under way: uvicorn lets it end
            self._go_the_long_way()
        super().shutdown()

    def _is_plain(self) -> bool:
        return (
            self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and _fixed_headers(self.server_state.default_headers) is not None
        )

    def _go_the_long_way(self) -> None:
        """As if the head, and what there is of the body, came in only now."""
        self._begin_the_long_way()
        super().on_body(self._gathered)

    def _begin_the_long_way(self) -> None:
        """What came after a head that was plain, in trailers, expects nothing any more."""
        url, headers = self.url, self.headers
        expected = self.expect_100_continue and self._ask is None
        self._ask = None
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers.extend(headers)  # the list that is in the scope, too
        super().on_headers_complete()

    def _send(self, headers: bytes, body: bytes) -> None:
        fixed = _fixed_headers(self.server_state.default_headers) or b""
        self.server_state.total_requests += 1
        self._await_next()
        if self.parser.should_keep_alive():
            self.transport.write(b"%b%b%b\r\n%b" % (OK, fixed, headers, body))
        else:
            self.transport.write(b"%b%b%bconnection: close\r\n\r\n%b" % (OK, fixed, headers, body))
            self.transport.close()

    def _awaits_body(self) -> bool:
        return self._ask is not None or super()._awaits_body()


_made: tuple[list[tuple[bytes, bytes]] | None, bytes | None] = (None, None)


def _fixed_headers(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Those that each answer carries, which uvicorn makes anew once a second; None while it says
    goodbye, and connections have to be closed."""
    global _made  # noqa: PLW0603
    if _made[0] is not headers:
        ends = any(name == b"connection" for name, _ in headers)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        _made = (headers, None if ends else lines)
    return _made[1]
