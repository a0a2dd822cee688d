"""Interrupted responses: no request gets a response that belongs to another request."""

import json
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pyairtable import formulas

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import Unavailable
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.mapping.schema import Source
from sandbox.airtable.server import Sandbox
from tests.support.services import services

SHORT_LIMITS = RequestLimits(5.0, 0.8, 1.2, (), 0.0, 5.0, is_call=True)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Send = Callable[[socket.socket, bytes], None]


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_one_piece(connection: socket.socket, body: bytes) -> None:
    connection.sendall(with_length(body))


def in_chunks(connection: socket.socket, body: bytes) -> None:
    chunks = (body[:20], body[20:], b"")
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + coded)


def in_two_pieces(connection: socket.socket, body: bytes) -> None:
    answer = with_length(body)
    connection.sendall(answer[:-30])
    time.sleep(0.02)
    connection.sendall(answer[-30:])


def wait_until_the_client_gives_up(connection: socket.socket) -> None:
    """Until it closes the connection, or, which is wrong, sends its next request on it."""
    connection.settimeout(20)
    connection.recv(65536)


def too_late(connection: socket.socket, body: bytes) -> None:
    wait_until_the_client_gives_up(connection)
    connection.sendall(with_length(body))


def too_late_in_the_middle(connection: socket.socket, body: bytes) -> None:
    answer = with_length(body)
    connection.sendall(answer[:-30])
    wait_until_the_client_gives_up(connection)
    connection.sendall(answer[-30:])


def too_late_in_the_middle_of_a_chunk(connection: socket.socket, body: bytes) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[:30])
    wait_until_the_client_gives_up(connection)
    connection.sendall(body[30:] + b"\r\n0\r\n\r\n")


def piece_by_piece_without_end(connection: socket.socket, body: bytes) -> None:
    for byte in with_length(body):
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def half_of_the_body(connection: socket.socket, body: bytes) -> None:
    connection.sendall(with_length(body)[:-30])
    connection.close()


def half_of_the_chunks(connection: socket.socket, body: bytes) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[:30])
    connection.close()


def reset_in_the_middle(connection: socket.socket, body: bytes) -> None:
    connection.sendall(with_length(body)[:-30])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def no_response(connection: socket.socket, body: bytes) -> None:
    connection.close()


COMPLETE: list[Send] = [in_one_piece, in_chunks, in_two_pieces]
INTERRUPTED: list[Send] = [
    too_late,
    too_late_in_the_middle,
    too_late_in_the_middle_of_a_chunk,
    piece_by_piece_without_end,
    half_of_the_body,
    half_of_the_chunks,
    reset_in_the_middle,
]


class InterruptingServer:
    """An Airtable that answers each request with the word in its formula, in the next of `ways`."""

    def __init__(self) -> None:
        self.ways: Iterator[Send] = iter(())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := connection.recv(65536):
                word = re.search(rb"word\d+", request)
                assert word
                record = {"id": "rec", "createdTime": "", "fields": {"word": word[0].decode()}}
                next(self.ways)(connection, json.dumps({"records": [record]}).encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def interrupting(airtable: Sandbox, settings: Any) -> Iterator[InterruptingServer]:
    server = InterruptingServer()
    settings.AIRTABLE_API_URL = server.url
    yield server
    server.close()


def word_from(client: AirtableClient, word: str) -> str:
    (record,) = client.find(Source("client"), str(formulas.EQ(formulas.Field("word"), word)))
    return str(record["fields"]["word"])


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [*INTERRUPTED, no_response])
def test_after_an_interrupted_response_the_next_request_gets_its_own_response(
    interrupting: InterruptingServer, interrupted: Send
) -> None:
    client = services().new_client(SHORT_LIMITS)
    interrupting.ways = iter([in_one_piece, interrupted, interrupted, in_one_piece, in_one_piece])
    assert word_from(client, "word1") == "word1"
    with pytest.raises(Unavailable):
        word_from(client, "word2")
    if interrupted is not no_response:  # if no byte arrived, the request was sent again
        interrupting.ways = iter([in_one_piece, in_one_piece])
    assert word_from(client, "word3") == "word3"
    time.sleep(0.25)  # the late bytes have arrived
    assert word_from(client, "word4") == "word4"


@pytest.mark.slow
@pytest.mark.parametrize("requests", [30, pytest.param(300, marks=pytest.mark.long)])
def test_in_every_order_of_interruptions_each_request_gets_its_own_response(
    interrupting: InterruptingServer, requests: int
) -> None:
    client, choice = services().new_client(SHORT_LIMITS), random.Random(7)
    interrupting.ways = iter(
        lambda: choice.choice([*COMPLETE, *COMPLETE, *INTERRUPTED, no_response]), None
    )
    correct = 0
    for number in range(requests):
        with suppress(Unavailable):
            assert word_from(client, f"word{number}") == f"word{number}"
            correct += 1
    assert correct > requests / 3
