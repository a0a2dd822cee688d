"""Calls as Retell sends them, as bytes."""

import secrets
from types import SimpleNamespace

from benchmarks.load import request_bytes
from webhooks.platforms.retell import Retell

NUMBER = "+32460234291"  # John Doe's, in the sample base
KEY = f"key_{secrets.token_hex(8)}"
PATH = "/webhooks/retell/"


def retell(key: str = KEY) -> Retell:
    return Retell(SimpleNamespace(RETELL_API_KEY=[key]))


def call_bytes(number: str = NUMBER) -> bytes:
    """The request that Retell sends when this number is called."""
    call = retell().outgoing_call(number, KEY, "")
    return request_bytes(PATH, dict(call.headers), call.body)


def source_of(response: bytes) -> str:
    """The source that a response of Siftly names."""
    head = response.split(b"\r\n\r\n", 1)[0].decode().lower()
    return head.split("x-siftly-source: ", 1)[1].split("\r\n", 1)[0]
