"""Calls of any platform, as that platform sends them."""

from typing import Any

from tests.asgi_client import Response, send
from webhooks.platforms import PLATFORMS
from webhooks.platforms.base import Platform

HOST = "http://testserver"


def set_up(platform: Platform, settings: Any) -> None:
    """With secrets of its own, as `make run` does it."""
    for name, value in platform.stand_in().items():
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
    return call_with(platform, platform.body(to_number), settings)


def call_with(platform: Platform, body: bytes, settings: Any) -> Response:
    return send(path_of(platform), body, headers_for(platform, body, settings))


def stand_ins() -> dict[str, str]:
    """The variables that set up all platforms, for processes of their own."""
    return {k: v for platform in PLATFORMS.values() for k, v in platform.stand_in().items()}
