"""Responses that would fill the memory, never end, or lead the token to another host."""

import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.airtable.received_bytes import MAX_BYTES
from airtable_sync.mapping.schema import Source
from sandbox.airtable.server import Sandbox
from tests.support.servers.answering_server import Send, answering, head, whole
from tests.support.services import services

LIMITS = RequestLimits(10.0, 10.0, 60.0, (), 0.0, 10.0, is_call=True)
MIB = 1024 * 1024
TOO_LARGE = r"^Airtable's response is larger than 32 MiB\.$"
BUFFERED = 64 * MIB  # by the two sockets: the system decides how much
GIBIBYTE = gzip.compress(bytes(MIB)) * 1024


def read(limits: RequestLimits = LIMITS) -> list[str]:
    found = services().new_client(limits).pages(Source("client"))
    return [record["id"] for page in found for record in page]


def without_end(start: bytes, piece: bytes) -> Callable[[Send], None]:
    def respond(send: Send) -> None:
        send(start)
        while True:
            send(piece)

    return respond


@pytest.mark.parametrize(
    "respond",
    [
        without_end(head(content_length=str(2**32)), b" " * MIB),
        without_end(head(), b" " * MIB),
        without_end(head(500), b" " * MIB),
        without_end(head(transfer_encoding="chunked"), b"%x\r\n%s\r\n" % (MIB, b" " * MIB)),
        without_end(head(100), head(100, x_header="x" * 1000) * 1000),
        without_end(head(transfer_encoding="chunked") + b"2\r\n{}\r\n0\r\n", b"X: x\r\n" * 100_000),
        without_end(head(content_encoding="gzip"), GIBIBYTE),
        # Nothing comes out of these: what follows a gzip, and empty blocks of deflate.
        without_end(head(content_encoding="gzip") + gzip.compress(b"{}"), b"\1" * MIB),
        without_end(head(content_encoding="deflate") + b"\x78\x9c", b"\0\0\0\xff\xff" * MIB),
    ],
    ids=[
        "length",
        "no length",
        "error",
        "chunks",
        "100 Continue",
        "trailers",
        "gzip",
        "behind the gzip",
        "empty blocks",
    ],
)
def test_a_response_without_end_is_read_up_to_the_limit_and_its_connection_is_closed(
    airtable: Sandbox, settings: Any, respond: Callable[[Send], None]
) -> None:
    with answering(respond) as server:  # which ends only when the connection is closed
        settings.AIRTABLE_API_URL = server.url
        with pytest.raises(Unavailable, match=TOO_LARGE):
            read()
    assert server.sent < MAX_BYTES + BUFFERED
    assert len(server.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", head(100)),
        (b"HTTP/1.1 200 OK\r\nX-Header: ", b"x"),
        (head(transfer_encoding="chunked") + b"2\r\n{}\r\n0\r\n", b"X: x\r\n"),
    ],
    ids=["100 Continue", "head", "trailers"],
)
def test_slow_pieces_of_what_is_no_body_do_not_extend_the_time_limit(
    airtable: Sandbox, settings: Any, start: bytes, piece: bytes
) -> None:
    def respond(send: Send) -> None:
        send(start)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            send(piece)
            time.sleep(0.02)

    with answering(respond) as server:
        settings.AIRTABLE_API_URL = server.url
        started = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            read(RequestLimits(5.0, 0.8, 1.0, (), 0.0, 5.0, is_call=True))
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "compress"])
def test_only_encodings_with_a_limit_are_requested_and_decoded(
    airtable: Sandbox, settings: Any, encoding: str
) -> None:
    """Whatever packages are installed."""
    body = whole(b'{"records": []}', content_encoding=encoding)
    with answering(lambda send: send(body)) as server:
        settings.AIRTABLE_API_URL = server.url
        with pytest.raises(Unavailable, match=r"has another encoding than gzip, deflate\.$"):
            read()
    assert server.requests[0]["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize(
    ("encoding", "make_body"),  # made by the process that runs the test: it takes a second
    [
        ("gzip", lambda: GIBIBYTE),
        ("x-gzip", lambda: GIBIBYTE),
        ("deflate", lambda: zlib.compress(bytes(200 * MIB))),
        ("gzip, gzip", lambda: gzip.compress(GIBIBYTE)),
    ],
    ids=["gzip", "x-gzip", "deflate", "twice"],
)
def test_a_small_body_that_decodes_to_gigabytes_takes_little_memory(
    airtable: Sandbox,
    settings: Any,
    encoding: str,
    make_body: Callable[[], bytes],
    status: int,
) -> None:
    body = make_body()
    assert len(body) < 2 * MIB
    with answering(lambda send: send(whole(body, status, content_encoding=encoding))) as server:
        settings.AIRTABLE_API_URL = server.url
        tracemalloc.start()
        try:
            with pytest.raises(Unavailable, match=TOO_LARGE):
                read()
            assert tracemalloc.get_traced_memory()[1] < 5 * MAX_BYTES
        finally:
            tracemalloc.stop()


def test_a_large_page_within_the_limit_is_read(airtable: Sandbox, settings: Any) -> None:
    fields = {"notes": "\u20ac" * 100_000}
    record = {"createdTime": "2026-01-01T00:00:00.000Z", "fields": fields}
    records = [{"id": f"rec{number}", **record} for number in range(100)]
    body = json.dumps({"records": records}, ensure_ascii=False).encode()
    assert len(body) > 0.85 * MAX_BYTES
    compressed = gzip.compress(body, 1)
    for answer in (whole(body), whole(compressed, content_encoding="gzip")):
        with answering(lambda send, answer=answer: send(answer)) as server:  # type: ignore[misc]
            settings.AIRTABLE_API_URL = server.url
            assert len(read()) == 100


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_error_names_only_its_host(
    airtable: Sandbox, settings: Any, status: int
) -> None:
    with answering(lambda send: send(whole(b'{"records": []}'))) as other:
        port = other.url.rpartition(":")[2]
        location = f"http://localhost:{port}/path?token=hidden"
        with answering(lambda send: send(whole(b"", status, location=location))) as server:
            settings.AIRTABLE_API_URL = server.url
            with pytest.raises(AirtableError) as caught:
                read(RequestLimits(10.0, 10.0, 10.0, (0.0, 0.0), 0.0, 10.0, is_call=False))
    assert type(caught.value) is AirtableError
    assert str(caught.value) == (
        f"127.0.0.1 answered {status}, a redirect to localhost. "
        "Airtable's API never redirects: check AIRTABLE_API_URL."
    )
    assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("headers", [{}, {"location": "http://[/"}, {"location": ""}])
def test_a_redirect_that_leads_nowhere_is_an_error_too(
    airtable: Sandbox, settings: Any, headers: dict[str, str]
) -> None:
    with answering(lambda send: send(whole(b"", 302, **headers))) as server:
        settings.AIRTABLE_API_URL = server.url
        with pytest.raises(AirtableError, match=r"302, a redirect.*check AIRTABLE_API_URL\.$"):
            read()
