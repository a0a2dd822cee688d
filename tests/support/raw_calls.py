"""Calls as bytes, and numbers that are answered from memory."""

import time
from typing import Any

from airtable_sync.cache.entry import Entry
from tests.support.cast import JOHN, NUMBER
from tests.support.platforms import OWN_SETTINGS, headers_for, path_of
from tests.support.services import services
from webhooks.platforms.base import Platform


def cache_in_memory(variables: dict[str, str] = JOHN, number: str = NUMBER, **more: Any) -> None:
    """Add an entry that was read now to the replica."""
    now = int(time.time() * 1000)
    entry = Entry(number, variables, now, "refresh", **{"settings": OWN_SETTINGS, **more})
    services().replica.keep(entry, saved=True)


def request(
    platform: Platform, settings: Any, *more: str, number: str = NUMBER, body: bytes = b""
) -> bytes:
    """A signed call. `more` are header lines."""
    body = body or platform.sample_body(number)
    headers = {**headers_for(platform, body, settings), "Host": "testserver"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    first = f"POST {path_of(platform)} HTTP/1.1"
    head = "\r\n".join([first, *lines, f"Content-Length: {len(body)}", *more])
    return head.encode() + b"\r\n\r\n" + body
