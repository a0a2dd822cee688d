"""`manage.py place_call`: sends what a platform sends when a number is called."""

import json
import os
import socket
import time
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from airtable_sync.mapping.schema import MappingError
from airtable_sync.services import services
from webhooks.platforms import PLATFORM_CLASSES, build_platforms
from webhooks.platforms.base import ANONYMOUS, Platform
from webhooks.service_address import DEFAULT_PLATFORM, ServiceAddress, WrongAddress, service_address

TIMEOUT_SECONDS = 15


class Command(BaseCommand):
    help = (
        "Send what a voice platform would send for a call to NUMBER, signed with its secret from "
        "the environment; print the answer and the time it took. Exits with 0 on a 200."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        address = settings.PUBLIC_URL or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
        parser.add_argument("number", help="the called number, in any format")
        parser.add_argument(
            "--caller", default=ANONYMOUS, help="who is calling, such as +32470000001"
        )
        parser.add_argument(
            "--platform",
            choices=sorted(each.name for each in PLATFORM_CLASSES),
            help=f"default: the one in --url, else {DEFAULT_PLATFORM}",
        )
        parser.add_argument(
            "--url",
            default=address,
            help="where Siftly is, or a platform's whole webhook address (default: %(default)s)",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            address = service_address(options["url"], options["platform"])
        except WrongAddress as error:
            raise CommandError(str(error)) from error
        platform = build_platforms(settings).get(address.platform)
        if platform is None:
            raise CommandError(f"{address.platform!r} in --url is not a platform's name.")
        number = _e164(options["number"])
        response, seconds = _send(platform, number, options["caller"], address)
        source = response.headers.get("X-Siftly-Source", "none")
        self.stdout.write(_readable(response))
        self.stdout.write(
            f"{response.status_code} in {seconds * 1000:.1f} ms, source: {source}, "
            f"server: {response.headers.get('Server-Timing', 'no timing')}"
        )
        if outcome := response.headers.get("X-Siftly-Follow-Up"):
            self.stdout.write(f"Follow-up request to {platform.name}: {outcome}")
        if source == "default":
            self.stdout.write(
                f"{number} is unknown to Siftly at this moment: the agent gets the defaults. "
                f"`manage.py show_config {number}` says why."
            )
        if response.status_code != 200:
            raise CommandError(f"The answer was {response.status_code}, not 200.")


def _send(
    platform: Platform, number: str, caller: str, address: ServiceAddress
) -> tuple[requests.Response, float]:
    secrets = getattr(settings, platform.signing_setting)
    if not secrets:
        raise CommandError(f"{platform.signing_setting} is not set: the call can't be signed.")
    public_url = settings.GIVEN_PUBLIC_URL
    try:
        signed_for = f"{public_url.rstrip('/')}{address.path}" if public_url else address.url
        call = platform.outgoing_call(number, secrets[0], signed_for, caller)
    except ValueError as error:
        raise CommandError(f"{platform.signing_setting} can't sign the call: {error}.") from error
    with requests.Session() as session:
        session.trust_env = False
        started = time.perf_counter()
        try:
            response = session.post(
                address.url, data=call.body, headers=dict(call.headers), timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise CommandError(f"{address.url} did not answer: {_reason(error)}") from error
        return response, time.perf_counter() - started


def _e164(text: str) -> str:
    try:
        number = services().active_mapping.number(text)
    except MappingError as error:
        raise CommandError(str(error)) from error
    if number is None:
        raise CommandError(f"{text[:40]!r} is not a telephone number.")
    return number


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


def _readable(response: requests.Response) -> str:
    try:
        return json.dumps(response.json(), indent=2, ensure_ascii=False)
    except ValueError:
        return response.text
