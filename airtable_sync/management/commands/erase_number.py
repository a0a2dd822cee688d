"""`manage.py erase_number`: a number is erased wherever Siftly keeps it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import MappingError, current
from airtable_sync.privacy.erasure import places


class Command(BaseCommand):
    help = (
        "Erase a called number from the cache, the answers, the unknown numbers, past sets, runs, "
        "alerts and the admin's log. Delete it in Airtable first, or the next refresh brings it "
        "back. Exits with 1 if something could not be reached: run it again then."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="in any form people write it")
        parser.add_argument("--dry-run", action="store_true", help="only say where it is")

    def handle(self, *_: Any, **options: Any) -> None:
        number = _number(options["number"])
        unreached = []
        for place in places():
            try:
                found = place.count(number)
                if not options["dry_run"]:
                    place.erase(number)
            except (CacheUnavailable, DatabaseError) as error:
                unreached.append(f"{place.name}: {error}")
            else:
                self.stdout.write(f"{place.name + ':':<18}{found}")
        if unreached:
            raise CommandError("These could not be reached. " + " ".join(unreached))
        done = "would be erased" if options["dry_run"] else "is erased"
        self.stdout.write(f"{number} {done} there. Logs that were written are kept elsewhere.")


def _number(text: str) -> str:
    try:
        number = e164(text, current().region)
    except MappingError as error:
        raise CommandError(str(error)) from error
    if not number:
        raise CommandError(f"{text[:40]!r} is no telephone number.")
    return number
