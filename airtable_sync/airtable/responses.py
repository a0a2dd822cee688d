"""Reads Airtable's HTTP responses within limits: for the time, for the size, and without redirects.
requests only limits the time for each piece: a server that sends one byte a second would hold a
thread for an hour, and one that sends without end would fill the memory."""

import io
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.airtable.received_bytes import MAX_BYTES, TOO_LARGE
from siftly.server import strict_json

PIECE_BYTES = 64 * 1024
# urllib3 can decode these piece by piece. It knows more if brotli or zstandard are installed, and
# some versions of them decode everything at once.
ACCEPT_ENCODING = "gzip, deflate"
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "identity"})


class CompleteResponse(requests.Response):
    """A response whose body was read."""

    def __init__(self, response: requests.Response, body: bytes) -> None:
        super().__init__()
        vars(self).update(vars(response))
        self._content = body
        self.encoding = "utf-8"  # always, for JSON; requests might analyse the whole body to guess

    def json(self, **options: Any) -> Any:
        """Raises ValueError, also for NaN and Infinity; RecursionError."""
        return super().json(**strict_json.OPTIONS, **options)


def required_text(value: Any) -> str:
    """Raises TypeError for everything else: it might be nested deeply, and Python raises
    RecursionError when such a value is written as text or JSON."""
    if not isinstance(value, str):
        raise TypeError("Not a text.")
    return value


def read_response_within(seconds: Callable[[], float]) -> Callable[..., requests.Response]:
    """A response hook that reads the body. Raises requests.Timeout after so many seconds,
    Unavailable for a body that is too large, and AirtableError for a redirect."""

    def read(response: requests.Response, **_: Any) -> requests.Response:
        try:
            _refuse_redirect(response)
            body = _decoded(response, _body(response, time.monotonic() + seconds()))
        except ReadTimeoutError as error:
            raise requests.Timeout(error) from error
        except HTTPError as error:  # urllib3's: the connection broke, or the gzip is invalid
            response.close()
            raise requests.exceptions.ChunkedEncodingError(error) from error
        except (requests.Timeout, AirtableError):
            response.close()
            raise
        return CompleteResponse(response, body)

    return read


def _refuse_redirect(response: requests.Response) -> None:
    """Airtable's API never redirects, and a redirect might lead the token to another host."""
    if not 300 <= response.status_code < 400:
        return
    target = f"a redirect to {host}" if (host := _redirect_host(response)) else "a redirect"
    raise AirtableError(
        f"{urlsplit(response.url).hostname} answered {response.status_code}, {target}. "
        "Airtable's API never redirects: check AIRTABLE_API_URL."
    )


def _redirect_host(response: requests.Response) -> str:
    """ "" if there is none. The rest of the address may contain secrets."""
    try:
        target = urljoin(response.url, response.headers["Location"])
        return (urlsplit(target).hostname or "")[:100]
    except (KeyError, ValueError):
        return ""


def _body(response: requests.Response, until: float) -> bytes:
    """The body as it was sent. It is decoded later: urllib3's decoders may read on and on without
    returning anything, for example behind the end of the gzip."""
    body = bytearray()
    while piece := response.raw.read1(PIECE_BYTES, decode_content=False):
        body += piece
        _check_size(body)
        if time.monotonic() > until:
            raise requests.Timeout(response=response)
    return bytes(body)


def _decoded(response: requests.Response, body: bytes) -> bytes:
    """The body without its Content-Encoding. A small gzip may decode to gigabytes: urllib3 decodes
    no more than what `read` asks for."""
    encoding = response.headers.get("Content-Encoding")
    if not encoding:
        return body
    if not {each.strip().lower() for each in encoding.split(",")} <= _CODINGS:
        raise Unavailable(f"Airtable's response has another encoding than {ACCEPT_ENCODING}.")
    encoded = urllib3.HTTPResponse(
        io.BytesIO(body), {"Content-Encoding": encoding}, preload_content=False
    )
    decoded = encoded.read(MAX_BYTES + 1, decode_content=True)
    _check_size(decoded)
    return decoded


def _check_size(body: bytes | bytearray) -> None:
    if len(body) > MAX_BYTES:
        raise Unavailable(TOO_LARGE)
