"""Calls of every platform, as that platform sends them."""

import json
import time
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.answer import Answer
from tests.support.asgi_client import Response, request_with, send
from tests.support.cast import JOHN, NUMBER
from tests.support.services import platforms, services
from webhooks.platforms.base import Platform, Secrets

HOST = "http://testserver"
NOW = 1_800_000_000
UNKNOWN, OWN = "+32460234299", "+32460234298"
OWN_SETTINGS = {"agent_id": "agent_7", "twilio_connect_url": "wss://own.example/ws"}
VARIABLES = st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=6)
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
SECRET = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def set_up(platform: Platform, settings: Any) -> None:
    """Give the platform random secrets, as `make run` does."""
    for name, value in platform.sandbox_variables().items():
        several = isinstance(getattr(settings, name), list)
        setattr(settings, name, [value] if several else value)


def path_of(platform: Platform) -> str:
    return f"/webhooks/{platform.name}/"


def secret_of(platform: Platform, settings: Any) -> str:
    return str(getattr(settings, platform.signing_setting)[0])


def headers_for(platform: Platform, body: bytes, settings: Any) -> dict[str, str]:
    address = HOST + path_of(platform)
    signed = platform.sign(body, secret_of(platform, settings), address)
    return {"Content-Type": platform.content_type, **signed}


def call(platform: Platform, to_number: str, settings: Any) -> Response:
    return call_with(platform, platform.sample_body(to_number), settings)


def call_with(platform: Platform, body: bytes, settings: Any) -> Response:
    return send(path_of(platform), body, headers_for(platform, body, settings))


def stand_ins() -> dict[str, str]:
    """Environment variables that set up all platforms, for other processes."""
    return {
        name: value
        for platform in platforms().values()
        for name, value in platform.sandbox_variables().items()
    }


def is_authentic(
    name: str, body: bytes | str, headers: dict[str, str], *secrets: str, path: str = "/"
) -> bool:
    """Whether the platform accepts this request if these are its secrets."""
    raw = body.encode() if isinstance(body, str) else body
    platform = platforms()[name]
    platform.secrets = Secrets(secrets)
    return platform.is_authentic(request_with(headers, path), raw)


def sent(name: str, event: Any, settings: Any) -> Response:
    """The response to an event, of any kind, that the platform signed."""
    platform = platforms()[name]
    form = platform.content_type != "application/json"
    return call_with(platform, (urlencode if form else json.dumps)(event).encode(), settings)


def known(variables: dict[str, str], **own: str) -> Answer:
    return Answer(NUMBER, True, variables, own, "memory")


def cache_them(settings: Any) -> None:
    """Set up all platforms, and cache NUMBER, OWN with settings of its own, and UNKNOWN."""
    for platform in platforms().values():
        set_up(platform, settings)
    now = int(time.time() * 1000)
    john = Entry(NUMBER, JOHN, now, "refresh")
    own = Entry(OWN, JOHN, now, "refresh", settings=OWN_SETTINGS)
    services().call_store.write(
        [john, own, Entry(UNKNOWN, None, now, "lookup")], announce_unchanged=False
    )
