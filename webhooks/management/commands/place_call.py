"""`manage.py place_call`: sends what a platform sends when a number is called."""

import json
import os
import time
from argparse import ArgumentParser
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webhooks.platforms import PLATFORM_CLASSES, build_platforms
from webhooks.platforms.base import ANONYMOUS, Platform

TIMEOUT_SECONDS = 15


class Command(BaseCommand):
    help = (
        "Send what a voice platform would send for a call to NUMBER, signed with its secret from "
        "the environment; print the answer and the time it took. Exits with 0 on a 200."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        address = settings.PUBLIC_URL or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
        parser.add_argument("number", help="the called number, such as +32460234291")
        parser.add_argument(
            "--caller", default=ANONYMOUS, help="who is calling, such as +32470000001"
        )
        parser.add_argument(
            "--platform", default="retell", choices=sorted(each.name for each in PLATFORM_CLASSES)
        )
        parser.add_argument("--url", default=address, help="where Siftly is (default: %(default)s)")

    def handle(self, *_: Any, **options: Any) -> None:
        platform = build_platforms(settings)[options["platform"]]
        numbers = options["number"], options["caller"]
        response, seconds = _send(platform, *numbers, options["url"])
        source = response.headers.get("X-Siftly-Source", "none")
        self.stdout.write(_readable(response))
        self.stdout.write(
            f"{response.status_code} in {seconds * 1000:.1f} ms, source: {source}, "
            f"server: {response.headers.get('Server-Timing', 'no timing')}"
        )
        if outcome := response.headers.get("X-Siftly-Follow-Up"):
            self.stdout.write(f"Follow-up request to {platform.name}: {outcome}")
        if response.status_code != 200:
            raise CommandError(f"The answer was {response.status_code}, not 200.")


def _send(
    platform: Platform, number: str, caller: str, url: str
) -> tuple[requests.Response, float]:
    secrets = getattr(settings, platform.signing_setting)
    if not secrets:
        raise CommandError(f"{platform.signing_setting} is not set: the call can't be signed.")
    path = f"/webhooks/{platform.name}/"
    try:
        signed_for = (settings.GIVEN_PUBLIC_URL or url).rstrip("/") + path
        call = platform.outgoing_call(number, secrets[0], signed_for, caller)
    except ValueError as error:
        raise CommandError(f"{platform.signing_setting} can't sign the call: {error}.") from error
    address = url.rstrip("/") + path
    with requests.Session() as session:
        session.trust_env = False
        started = time.perf_counter()
        try:
            response = session.post(
                address, data=call.body, headers=dict(call.headers), timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise CommandError(f"{address} did not answer: {error}") from error
        return response, time.perf_counter() - started


def _readable(response: requests.Response) -> str:
    try:
        return json.dumps(response.json(), indent=2, ensure_ascii=False)
    except ValueError:
        return response.text
