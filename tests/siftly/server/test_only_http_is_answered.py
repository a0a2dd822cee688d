"""h11 is the judge of what is HTTP: a request that it refuses is never answered with 200, on either
path. The tests send bytes on a socket."""

import socket
from contextlib import suppress
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.raw_calls import request
from tests.support.services import platforms

Address = tuple[str, int]

SNIPPETS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"#",
    b"%2f",
    b"\x85",
    b"HTTP/0.9",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"Host: x\r\n",
    b"Host: a b\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length : 5\r\n",
    b"Content-Length: 9223372036854775808\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b" folded\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
]
WHERE = st.floats(0, 1)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), WHERE, st.sampled_from(SNIPPETS)),
        st.tuples(st.just("insert at a line"), WHERE, st.sampled_from(SNIPPETS)),
        st.tuples(st.just("insert"), WHERE, st.binary(min_size=1, max_size=3)),
        st.tuples(st.just("replace"), WHERE, st.sampled_from(SNIPPETS)),
        st.tuples(st.just("remove"), WHERE, st.just(b"")),
        st.tuples(st.just("cut"), WHERE, st.just(b"")),
        st.tuples(st.just("repeat"), WHERE, st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)
Change = tuple[str, float, bytes]


def changed(sent: bytes, changes: list[Change]) -> bytes:
    for kind, where, text in changes:
        place = round(where * len(sent))
        if kind == "insert at a line":
            place = sent.find(b"\n", place) + 1
        if kind in ("insert", "insert at a line"):
            sent = sent[:place] + text + sent[place:]
        elif kind == "replace":
            sent = sent[:place] + text + sent[place + len(text) :]
        elif kind == "remove":
            sent = sent[:place] + sent[place + 1 :]
        elif kind == "cut":
            sent = sent[:place]
        else:
            sent = sent + sent[place:]
    return sent


def accepted_by_h11(sent: bytes) -> tuple[int, bool]:
    """How many complete requests h11 finds, and whether the rest is an error."""
    judge, complete = h11.Connection(h11.SERVER), 0
    judge.receive_data(sent)
    try:
        while True:
            event = judge.next_event()
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return complete, False
            if event is h11.PAUSED:
                if judge.their_state is not h11.DONE:
                    return complete, False
                judge.start_next_cycle()
            if isinstance(event, h11.EndOfMessage):
                complete += 1
                judge.send(h11.Response(status_code=204, headers=[]))
                judge.send(h11.EndOfMessage())
    except h11.RemoteProtocolError:
        return complete, True


def statuses(address: Address, sent: bytes, *, responses: int, until_closed: bool) -> list[bytes]:
    """The statuses of so many final responses, and of all others until the server closes."""
    received, found = b"", list[bytes]()
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(sent)
        with suppress(ConnectionError):
            while until_closed or len(found) < responses:
                piece = client.recv(65536)
                if not piece:
                    break
                received += piece
                starts = [each[:3] for each in received.split(b"HTTP/1.1 ")[1:]]
                found = [each for each in starts if each != b"100"]
    return found


def judge_and_compare(address: Address, sent: bytes) -> None:
    complete, is_error = accepted_by_h11(sent)
    found = statuses(address, sent, responses=complete, until_closed=is_error)
    assert found.count(b"200") <= complete, (sent, found)
    if is_error:
        assert b"200" not in found[complete:], (sent, found)


@given(CHANGES)
@hypothesis_settings(max_examples=200)
@pytest.mark.slow
def test_no_request_that_h11_refuses_is_answered_with_200(
    server: Address, settings: Any, changes: list[Change]
) -> None:
    judge_and_compare(server, changed(request(platforms()["retell"], settings), changes))


@given(CHANGES)
@hypothesis_settings(max_examples=10_000)
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_none_of_ten_thousand_requests_that_h11_refuses_is_answered_with_200(
    server: Address, settings: Any, changes: list[Change]
) -> None:
    judge_and_compare(server, changed(request(platforms()["retell"], settings), changes))
