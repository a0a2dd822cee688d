"""Whatever becomes of an answer of Airtable, no request gets one that was meant for another."""

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

from airtable_sync.airtable.client import Airtable, RequestLimits
from airtable_sync.airtable.errors import Unavailable
from sandbox.airtable.server import Sandbox

IMPATIENT = RequestLimits(1.0, 0.1, 0.3, (), 0.0, 5.0, is_call=True)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Way = Callable[[socket.socket, bytes], None]


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def at_once(connection: socket.socket, body: bytes) -> None:
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


def too_late(connection: socket.socket, body: bytes) -> None:
    time.sleep(0.15)
    connection.sendall(with_length(body))


def too_late_in_the_middle(connection: socket.socket, body: bytes) -> None:
    answer = with_length(body)
    connection.sendall(answer[:-30])
    time.sleep(0.15)
    connection.sendall(answer[-30:])


def too_late_in_the_middle_of_a_chunk(connection: socket.socket, body: bytes) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[:30])
    time.sleep(0.15)
    connection.sendall(body[30:] + b"\r\n0\r\n\r\n")


def piece_by_piece_without_end(connection: socket.socket, body: bytes) -> None:
    for byte in with_length(body):
        connection.sendall(bytes([byte]))
        time.sleep(0.005)


def half_of_it(connection: socket.socket, body: bytes) -> None:
    connection.sendall(with_length(body)[:-30])
    connection.close()


def half_of_its_chunks(connection: socket.socket, body: bytes) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[:30])
    connection.close()


def reset_in_the_middle(connection: socket.socket, body: bytes) -> None:
    connection.sendall(with_length(body)[:-30])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def nothing(connection: socket.socket, body: bytes) -> None:
    connection.close()


WHOLE: list[Way] = [at_once, in_chunks, in_two_pieces]
TORN: list[Way] = [
    too_late,
    too_late_in_the_middle,
    too_late_in_the_middle_of_a_chunk,
    piece_by_piece_without_end,
    half_of_it,
    half_of_its_chunks,
    reset_in_the_middle,
]


class Tearing:
    """An Airtable that answers each request with the word it asked for, in any of these ways."""

    def __init__(self) -> None:
        self.ways: Iterator[Way] = iter(())
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
def tearing(airtable: Sandbox, settings: Any) -> Iterator[Tearing]:
    server = Tearing()
    settings.AIRTABLE_API_URL = server.url
    yield server
    server.close()


def asked(client: Airtable, word: str) -> str:
    (record,) = client.matching("client", str(formulas.EQ(formulas.Field("word"), word)))
    return str(record["fields"]["word"])


@pytest.mark.parametrize("torn", [*TORN, nothing])
def test_a_torn_answer_is_a_failure_and_the_next_request_gets_its_own(
    tearing: Tearing, torn: Way
) -> None:
    client = Airtable(IMPATIENT)
    tearing.ways = iter([at_once, torn, torn, at_once, at_once])
    assert asked(client, "word1") == "word1"
    with pytest.raises(Unavailable):
        asked(client, "word2")
    if torn is not nothing:  # where no byte came, it was asked again
        tearing.ways = iter([at_once, at_once])
    assert asked(client, "word3") == "word3"
    time.sleep(0.2)  # what was late has come
    assert asked(client, "word4") == "word4"


@pytest.mark.slow
def test_whatever_comes_after_whatever_each_request_gets_its_own_answer(tearing: Tearing) -> None:
    client, choice = Airtable(IMPATIENT), random.Random(7)
    tearing.ways = iter(lambda: choice.choice([*WHOLE, *WHOLE, *TORN, nothing]), None)
    right = 0
    for number in range(300):
        with suppress(Unavailable):
            assert asked(client, f"word{number}") == f"word{number}"
            right += 1
    assert right > 100
