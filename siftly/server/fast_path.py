"""The fast path: answers a cache hit as soon as its request has arrived, without ASGI.

ASGI needs a task, three messages and a timer for each request, which takes more time than the rest
of a cache hit (docs/understanding/decisions.md has the figures). Only a plain request takes this
path: one whose bytes have a single reading, for every HTTP server. All others are left to h11,
untouched."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from siftly.server.http import Headers

# Takes the headers, scheme and body of a POST request. Returns the raw headers and the body of a
# 200 response, or None if the request has to go through ASGI. Never raises.
FastAnswer = Callable[[Headers, str, bytes], tuple[bytes, bytes] | None]
# What answers a plain call, its headers, and where its body starts and ends. A tuple, for speed.
PlainCall = tuple[FastAnswer, Headers, int, int]

MAX_BODY_BYTES = 8 * 1024  # no real call is larger
MAX_LENGTH_DIGITS = 4
HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
# Printable ASCII only. `++` and `*+` never try again, so a long head takes linear time.
_HEAD = re.compile(
    rb"POST ([!-~]{1,200}+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~]*+\r\n)++)"
    rb"\r\n"
)
_FIELD = re.compile(rb"([^:]+):[\t ]*((?:[^\r]*[^\r\t ])?)[\t ]*\r\n")
# They change where a request ends, or what is sent before the response.
_NOT_PLAIN = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer"})


def plain_call(data: bytes, fast_answers: Mapping[bytes, FastAnswer]) -> PlainCall | None:
    """The plain request at the start of `data`, whose body may still be incomplete. None if there
    is none, or if its head is incomplete."""
    head = _HEAD.match(data)
    if not head:
        return None
    address, lines = head.groups()
    fast_answer = fast_answers.get(address)
    if fast_answer is None:
        return None
    fields = _FIELD.findall(lines)
    values = {name.lower(): value for name, value in fields}
    if len(values) < len(fields):  # a repeated header
        return None
    length = _body_length(values)
    if length is None:
        return None
    return fast_answer, Headers(values), head.end(), head.end() + length


def _body_length(headers: Mapping[bytes, bytes]) -> int | None:
    """None if these are not the headers of a plain request."""
    if not _NOT_PLAIN.isdisjoint(headers):
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    length = headers.get(b"content-length", b"")
    if not (length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
        return None
    if not _is_host(headers.get(b"host", b"")):
        return None
    return int(length) if int(length) <= MAX_BODY_BYTES else None


@lru_cache(maxsize=64)  # for speed; a head is limited, so this is at most 1 MiB
def _is_host(host: bytes) -> bool:
    return HOST.fullmatch(host) is not None
