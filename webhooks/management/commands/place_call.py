"""`manage.py place_call`: sends what a platform sends when a number is called."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from airtable_sync.mapping.schema import MappingError
from airtable_sync.services import services
from airtable_sync.status.first_run.call_sender import CallNotSent, own_address
from webhooks.platforms import PLATFORM_CLASSES, build_platforms
from webhooks.platforms.base import ANONYMOUS
from webhooks.sending import send_call
from webhooks.service_address import DEFAULT_PLATFORM, WrongAddress, service_address


class Command(BaseCommand):
    help = (
        "Send what a voice platform would send for a call to NUMBER, signed with its secret from "
        "the environment; print the answer and the time it took. Exits with 0 on a 200."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
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
            default=own_address(settings),
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
        try:
            sent = send_call(settings, platform, number, address, options["caller"])
        except CallNotSent as error:
            raise CommandError(str(error)) from error
        self.stdout.write(sent.response)
        self.stdout.write(
            f"{sent.status} in {sent.seconds * 1000:.1f} ms, source: {sent.source}, "
            f"server: {sent.timing}"
        )
        if sent.follow_up:
            self.stdout.write(f"Follow-up request to {platform.name}: {sent.follow_up}")
        if sent.source == "default":
            self.stdout.write(
                f"{number} is unknown to Siftly at this moment: the agent gets the defaults. "
                f"`manage.py show_config {number}` says why."
            )
        if sent.status != 200:
            raise CommandError(f"The answer was {sent.status}, not 200.")


def _e164(text: str) -> str:
    try:
        number = services().active_mapping.number(text)
    except MappingError as error:
        raise CommandError(str(error)) from error
    if number is None:
        raise CommandError(f"{text[:40]!r} is not a telephone number.")
    return number
