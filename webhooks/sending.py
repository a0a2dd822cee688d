"""Sends what a voice platform sends when a number is called, signed with the platform's secret. For
`place_call`, and for the test call of the status page."""

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import requests

from airtable_sync.status.first_run.call_sender import CallNotSent, SentCall
from webhooks.platforms import build_platforms
from webhooks.platforms.base import ANONYMOUS, Platform
from webhooks.service_address import ServiceAddress, WrongAddress, service_address

TIMEOUT_SECONDS = 15


def send_call(
    settings: Any,
    platform: Platform,
    number: str,
    address: ServiceAddress,
    caller: str = ANONYMOUS,
) -> SentCall:
    """`settings` are Django's. Raises CallNotSent."""
    secrets = getattr(settings, platform.signing_setting)
    if not secrets:
        raise CallNotSent(f"{platform.signing_setting} is not set: the call can't be signed.")
    public_url = settings.GIVEN_PUBLIC_URL
    try:
        signed_for = f"{public_url.rstrip('/')}{address.path}" if public_url else address.url
        call = platform.outgoing_call(number, secrets[0], signed_for, caller)
    except ValueError as error:
        raise CallNotSent(f"{platform.signing_setting} can't sign the call: {error}.") from error
    with requests.Session() as session:
        session.trust_env = False
        started = time.perf_counter()
        try:
            response = session.post(
                address.url,
                data=call.body,
                headers=dict(call.headers),
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise CallNotSent(f"{address.url} did not answer: {_reason(error)}") from error
        seconds = time.perf_counter() - started
    return SentCall(
        address=address.url,
        request=_readable(call.body.decode(errors="replace")),
        status=response.status_code,
        response=_readable(response.text),
        seconds=seconds,
        source=response.headers.get("X-Siftly-Source", "none"),
        timing=response.headers.get("Server-Timing", "no timing"),
        follow_up=response.headers.get("X-Siftly-Follow-Up", ""),
    )


class WebhookCallSender:
    """`settings` are Django's."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def send(self, platform: str, number: str, url: str) -> SentCall:
        """Raises CallNotSent."""
        adapter = build_platforms(self._settings).get(platform)
        if adapter is None:
            raise CallNotSent(f"{platform[:40]} is not a platform.")
        try:
            address = service_address(url, platform)
        except WrongAddress as error:
            raise CallNotSent(str(error)) from error
        return send_call(self._settings, adapter, number, address)


def _reason(error: requests.RequestException) -> str:
    """One plain sentence: the library's text has the names of its classes."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate can't be used, or it does not speak TLS."
    if isinstance(error, requests.Timeout):
        return f"it took longer than {TIMEOUT_SECONDS} s."
    if not isinstance(error, requests.ConnectionError):
        return "the answer can't be read."
    parts = urlsplit(error.request.url or "" if error.request else "")
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.getaddrinfo(host, port)
    except OSError:
        return f"there is no host {host}."
    text = str(error)
    if "refused" in text:
        return f"the connection was refused. Is Siftly running, and is {port} its port?"
    return "the connection was closed." if "aborted" in text else "the connection failed."


def _readable(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
