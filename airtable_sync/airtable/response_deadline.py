"""A time limit for a whole HTTP response. requests only limits each piece: a server that sends one
byte a second would hold a thread for an hour."""

import time
from collections.abc import Callable
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError


def read_response_within(seconds: float) -> Callable[..., None]:
    """A response hook that reads the body and raises requests.Timeout after `seconds`."""

    def read(response: requests.Response, **_: Any) -> None:
        until, body = time.monotonic() + seconds, bytearray()
        try:
            while piece := response.raw.read1(decode_content=True):
                body += piece
                if time.monotonic() > until:
                    response.close()
                    raise requests.Timeout(response=response)
        except ReadTimeoutError as error:
            raise requests.Timeout(error) from error
        except HTTPError as error:  # urllib3's: the connection broke, or the gzip is invalid
            response.close()
            raise requests.exceptions.ChunkedEncodingError(error) from error
        response._content = bytes(body)  # noqa: SLF001 - where requests keeps a body that was read

    return read
