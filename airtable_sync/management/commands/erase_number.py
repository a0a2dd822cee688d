"""`manage.py erase_number`: erases a called number from everything that Siftly keeps."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.mapping.schema import MappingError
from airtable_sync.privacy.erasure import places
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services, services


class Command(BaseCommand):
    help = (
        "Erase a called number, or a contact's, from the cache, the answer log, the unknown "
        "numbers, snapshots, runs, alerts and the admin's log. Delete it in Airtable first, or the "
        "next refresh adds it again. Exit status: 1 if a place could not be reached; run it again "
        "then."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="in any format")
        parser.add_argument("--dry-run", action="store_true", help="only show where it is")

    def handle(self, *_: Any, **options: Any) -> None:
        used, is_dry_run = services(), options["dry_run"]
        number = _number(used, options["number"])
        unreachable = []
        has_redis = used.configuration.has_redis
        for place in places(
            used.command_store,
            used.generations.all_stores,
            used.overrides,
            used.snapshots,
            has_redis=has_redis,
        ):
            try:
                found = place.count(number)
                if not is_dry_run:
                    place.erase(number)
            except (CacheUnavailable, DatabaseError) as error:
                unreachable.append(f"{place.name}: {error}")
            else:
                self.stdout.write(f"{place.name + ':':<18}{found}")
        if unreachable:
            raise CommandError("These could not be reached. " + " ".join(unreachable))
        done = "would be erased" if is_dry_run else "was erased"
        self.stdout.write(f"{number} {done} in these places. Log files are not included.")


def _number(used: Services, text: str) -> str:
    try:
        number = used.active_mapping.number(text)
    except MappingError as error:
        raise CommandError(str(error)) from error
    if not number:
        raise CommandError(f"{text[:40]!r} is not a telephone number.")
    return number
