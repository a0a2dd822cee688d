"""An HTTP server on loopback that answers every request with bytes that a test writes itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.servers.threaded_server import served_in_a_thread

Send = Callable[[bytes], object]


@dataclass
class AnsweringServer:
    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)  # their headers
    sent: int = 0  # bytes of all responses


@contextmanager
def answering(respond: Callable[[Send], object]) -> Iterator[AnsweringServer]:
    """`respond` sends a whole response, with its head; OSError ends it."""
    server = AnsweringServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(dict(self.headers))
            with suppress(OSError):  # the client has closed the connection
                respond(self._send)
            self.close_connection = True

        def _send(self, piece: bytes) -> None:
            self.wfile.write(piece)
            server.sent += len(piece)

        def log_message(self, *_: Any) -> None: ...

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    with served_in_a_thread(listener):
        yield server


def head(status: int = 200, **headers: str) -> bytes:
    """`content_length="5"` becomes `content-length: 5`."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status} Status\r\n{''.join(lines)}\r\n".encode()


def whole(body: bytes, status: int = 200, **headers: str) -> bytes:
    return head(status, content_length=str(len(body)), **headers) + body
