"""Requests that other clients and proxies may read differently, as bytes on a socket. The tests
use the server in this process; a call is answered from memory."""

import logging
import re
import socket
import struct
from contextlib import suppress
from typing import Any

import pytest

from tests.support.raw_calls import request
from tests.support.services import platforms

pytestmark = pytest.mark.slow  # most of them wait for what a server must not send

Address = tuple[str, int]
SILENCE_SECONDS = 1.5
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def call(settings: Any) -> bytes:
    return request(platforms()["retell"], settings)


def exchange(server: Address, sent: bytes, responses: int = 1) -> bytes:
    """All that the server sends until it closes the connection, or is silent after so many
    responses."""
    received = b""
    with socket.create_connection(server, timeout=60) as client:
        client.sendall(sent)
        with suppress(TimeoutError, ConnectionError):
            while piece := client.recv(65536):
                received += piece
                if len(statuses(received)) >= responses:
                    client.settimeout(SILENCE_SECONDS)
    return received


def statuses(received: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", received)


def with_header(call: bytes, *lines: bytes) -> bytes:
    first, rest = call.split(b"\r\n", 1)
    return b"\r\n".join([first, *lines, rest])


def chunked(call: bytes, *, coding: bytes = b"chunked", trailers: bytes = b"") -> bytes:
    head, body = call.split(b"\r\n\r\n", 1)
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: " + coding, head)
    return head + b"\r\n\r\n%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
        [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"],
        [b"Upgrade: TLS/1.0"],
    ],
)
def test_an_upgrade_is_ignored_and_hides_no_second_request(
    server: Address, call: bytes, lines: list[bytes]
) -> None:
    assert statuses(exchange(server, with_header(call, *lines))) == [b"200"]
    wrong = b"\r\nContent-Length: %d\r\n\r\n" % len(call) + call
    hidden = b"POST /webhooks/retell/ HTTP/1.1\r\nHost: x\r\n" + b"\r\n".join(lines) + wrong
    assert statuses(exchange(server, hidden)) == [b"401"]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Host: testserver\r\n", b"", b"400"),
        (b"Host: testserver\r\n", b"Host: testserver\r\nHost: other\r\n", b"400"),
        (b"Host: testserver", b"Host: a b", b"400"),
        (b"Host: testserver", b"Host: a/b", b"400"),
        (b"Host: testserver", b"Host: ", b"400"),
        (b"Host: testserver", b"Host : testserver", b"400"),
        (b" HTTP/1.1\r\n", b"\r\n", b"400"),  # HTTP/0.9
        (b" HTTP/1.1\r\n", b" HTTP/0.9\r\n", b"505"),
        (b" HTTP/1.1\r\n", b" HTTP/2.0\r\n", b"505"),
        (b"/webhooks/retell/", b"/webhooks/retell/#x", b"400"),
        (b"/webhooks/retell/", b"http://other/webhooks/retell/", b"400"),
        (b"POST ", b"CONNECT ", b"405"),
        (b"POST ", b"TRACE ", b"405"),
        (b"Content-Length: ", b"Content-Length: +", b"400"),
        (b"Content-Length: ", b"Content-Length: 0x", b"400"),
        (b"Content-Length: ", b"Content-Length: 5\r\nContent-Length: ", b"400"),
        (b"Content-Length: ", b"Transfer-Encoding: chunked\r\nContent-Length: ", b"400"),
        (b"Content-Length: ", b"Content-Length: 99", b"413"),
        (b"Content-Length: ", b"Content-Length: 9223372036854775808", b"400"),
    ],
)
def test_an_ambiguous_request_is_refused_and_its_connection_closed(
    server: Address, call: bytes, old: bytes, new: bytes, status: bytes
) -> None:
    assert old in call
    received = exchange(server, call.replace(old, new, 1) + GET)
    assert statuses(received) == [status]
    assert b"\r\nconnection: close\r\n" in received.lower()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (lambda call: chunked(call, coding=b"gzip, chunked"), b"400"),
        (lambda call: chunked(call, coding=b"identity"), b"400"),
        (lambda call: chunked(call).replace(b"HTTP/1.1", b"HTTP/1.0", 1), b"400"),
        (lambda call: chunked(call).replace(b"\r\n\r\n", b"\r\n\r\n-", 1), b"400"),
        (
            lambda call: re.sub(
                rb"\r\n\r\n[0-9a-f]+\r\n", b"\r\n\r\n8000000000000000\r\n", chunked(call)
            ),
            b"413",
        ),
    ],
)
def test_a_body_whose_length_is_unclear_is_refused(
    server: Address, call: bytes, sent: Any, status: bytes
) -> None:
    received = exchange(server, sent(call) + b" " * 70_000)
    assert statuses(received) in ([status], [b"400"])


def test_a_signature_in_the_trailers_is_not_accepted(server: Address, call: bytes) -> None:
    line = re.search(rb"X-Retell-Signature: [^\r]+\r\n", call, re.IGNORECASE)
    assert line
    sent = chunked(call.replace(line[0], b""), trailers=line[0])
    assert statuses(exchange(server, sent)) == [b"401"]


def test_blanks_behind_a_header_are_ignored(server: Address, call: bytes) -> None:
    sent = re.sub(rb"(X-Retell-Signature: [^\r]+)", rb"\1 \t ", call, flags=re.IGNORECASE)
    assert sent != call
    assert statuses(exchange(server, sent)) == [b"200"]


def test_an_encoded_slash_is_another_address(server: Address, call: bytes) -> None:
    sent = call.replace(b"/webhooks/retell/", b"/webhooks%2fretell/")
    assert statuses(exchange(server, sent)) == [b"404"]


def test_a_client_of_http_1_0_gets_no_100_continue(server: Address, call: bytes) -> None:
    sent = with_header(call.replace(b"HTTP/1.1", b"HTTP/1.0"), b"Expect: 100-continue")
    assert statuses(exchange(server, sent)) == [b"200"]


def test_a_second_request_that_is_no_http_is_400(server: Address, call: bytes) -> None:
    assert statuses(exchange(server, call + b"\0\r\n\r\n", 2)) == [b"200", b"400"]


def test_an_error_in_a_body_causes_one_response_and_no_traceback(
    server: Address, call: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /nothing HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(exchange(server, head + b"nonsense\r\n")) == [b"400"]
    assert statuses(exchange(server, call)) == [b"200"]
    assert "Traceback" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_client_that_resets_its_connection_causes_no_error(
    server: Address, caplog: pytest.LogCaptureFixture
) -> None:
    page = b"GET /admin/login/ HTTP/1.1\r\nHost: testserver\r\n\r\n"
    for _ in range(5):
        with socket.create_connection(server, timeout=5) as client:
            client.sendall(page * 2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert statuses(exchange(server, page)) == [b"200"]
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
