"""Which fields of a platform's event its adapter reads."""

import copy
import json
from contextlib import suppress
from functools import cache
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode

from tests.support.asgi_client import request_with
from tests.support.cast import NUMBER
from tests.support.services import platforms
from webhooks.platforms import parsing
from webhooks.platforms.base import MalformedCall, NotACall, Platform

Path = tuple[str, ...]


class _Recorded(dict[str, Any]):
    """An object of an event that notes which of its members are read."""

    def __init__(self, content: dict[str, Any], path: Path, read: set[Path]) -> None:
        super().__init__(content)
        self.path, self.read = path, read

    def __contains__(self, name: object) -> bool:
        self.read.add((*self.path, str(name)))
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self.read.add((*self.path, name))
        value = super().__getitem__(name)
        return _recorded(value, (*self.path, name), self.read)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add((*self.path, name))
        return self[name] if super().__contains__(name) else default


def _recorded(value: Any, path: Path, read: set[Path]) -> Any:
    if isinstance(value, list):
        return [_recorded(each, (*path, str(i)), read) for i, each in enumerate(value)]
    return _Recorded(value, path, read) if isinstance(value, dict) else value


def put(holder: Any, path: Path, value: Any) -> None:
    """Set a member at any depth. A part of the path may be the index of a list. What is neither an
    object nor such a list on the way becomes an object."""
    name, *below = path
    key: Any = int(name) if isinstance(holder, list) else name
    if not below:
        holder[key] = value
        return
    inner = holder[key] if isinstance(holder, list) else holder.get(key)
    if not (isinstance(inner, dict) or _has_index(inner, below[0])):
        inner = holder[key] = {}
    put(inner, tuple(below), value)


def _has_index(value: Any, text: str) -> bool:
    return isinstance(value, list) and text.isdigit() and int(text) < len(value)


def encoded(platform: Platform, event: dict[str, Any]) -> bytes:
    """The event as JSON, or as the form that the platform sends."""
    if platform.content_type == "application/json":
        return json.dumps(event).encode()
    return urlencode({name: str(value) for name, value in event.items()}).encode()


def fields_read(platform: Platform) -> list[Path]:
    """Sorted: all workers of a parallel run have the same list."""
    return _fields_read(platform.name)


@cache
def _fields_read(name: str) -> list[Path]:
    """Starting with the sample, each field that was read becomes null, and an empty object. Where
    this makes the adapter look at other fields, the same starts from there."""
    platform, read = platforms()[name], set[Path]()
    if platform.content_type != "application/json":
        return sorted({(each,) for each, _ in parse_qsl(platform.sample_body(NUMBER).decode())})
    events: list[dict[str, Any]] = [json.loads(platform.sample_body(NUMBER)), {}]
    for event in events:
        _parse(platform, event, read)
    while events:
        event = events.pop()
        for path in sorted(read):
            for is_object in (False, True):
                changed, before = copy.deepcopy(event), len(read)
                put(changed, path, {} if is_object else None)
                _parse(platform, changed, read)
                if len(read) > before:
                    events.append(changed)
    return sorted(read)


def _parse(platform: Platform, event: dict[str, Any], read: set[Path]) -> None:
    """Adds to `read` the fields that this event makes the adapter look at."""
    body = json.dumps(event).encode()
    headers = platform.sign(body, platform.sandbox_variables()[platform.signing_setting], "")
    decode = parsing._decode

    def recorded(text: str) -> Any:
        return _recorded(decode(text), (), read)

    with patch.object(parsing, "_decode", recorded), suppress(MalformedCall, NotACall):
        platform.is_authentic(request_with(headers), body)
        platform.parse_call(body)
