"""The fast path: answers a cache hit as soon as its request has arrived, without ASGI.

ASGI needs a task, three messages and a timer for each request, which takes more time than the rest
of a cache hit (docs/decisions.md has the figures). Only a plain request takes this path: one whose
bytes have a single reading, for every HTTP server. All others are left to h11, untouched."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from siftly.server.http import RawHeaders

# Takes the headers, scheme and body of a POST request. Returns the raw headers and the body of a
# 200 response, or None if the request has to go through ASGI. Never raises.
FastAnswer = Callable[[RawHeaders, str, bytes], tuple[bytes, bytes] | None]

MAX_BODY_BYTES = 8 * 1024  # no real call is larger
MAX_ADDRESS_BYTES = 200
HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_METHOD = b"POST "
_VERSION = b" HTTP/1.1\r\n"
# Printable ASCII only. `++` and `*+` never try again, so a long head takes linear time.
_FIELD_LINES = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~]*+\r\n)++")
_LENGTH = re.compile(rb"[0-9]{1,4}")
# They change where a request ends, or what is sent before the response.
_NOT_PLAIN = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer"})


@dataclass(frozen=True, slots=True)
class PlainCall:
    """The head of a plain request to an address with a fast answer."""

    fast_answer: FastAnswer
    headers: RawHeaders
    body_start: int
    end: int  # of the body


def plain_call(data: bytes, fast_answers: Mapping[bytes, FastAnswer]) -> PlainCall | None:
    """The plain request at the start of `data`, whose body may still be incomplete. None if there
    is none, or if its head is incomplete."""
    if not data.startswith(_METHOD):
        return None
    address_end = data.find(_VERSION, len(_METHOD), MAX_ADDRESS_BYTES)
    fast_answer = fast_answers.get(data[len(_METHOD) : address_end])
    head_end = data.find(b"\r\n\r\n", address_end)
    if address_end < 0 or fast_answer is None or head_end < 0:
        return None
    lines = data[address_end + len(_VERSION) : head_end + 2]
    if not _FIELD_LINES.fullmatch(lines):
        return None
    headers = [_field(line) for line in lines[:-2].split(b"\r\n")]
    length = _body_length(headers)
    if length is None:
        return None
    body_start = head_end + 4
    return PlainCall(fast_answer, headers, body_start, body_start + length)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t")


def _body_length(headers: RawHeaders) -> int | None:
    """None if these are not the headers of a plain request."""
    names = [name for name, _ in headers]
    if names.count(b"host") != 1 or names.count(b"content-length") != 1:
        return None
    if names.count(b"connection") > 1 or not _NOT_PLAIN.isdisjoint(names):
        return None
    fields = dict(headers)
    if fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    length = fields[b"content-length"]
    if not HOST.fullmatch(fields[b"host"]) or not _LENGTH.fullmatch(length):
        return None
    return int(length) if int(length) <= MAX_BODY_BYTES else None
