"""`manage.py show_config`: explains one number, or prints every cached config."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.contacts import contact_keys
from airtable_sync.cache.entry import Entry
from airtable_sync.management.find_entry import FoundEntry, find_contact, find_entry
from airtable_sync.management.known_entries import known_entries
from airtable_sync.mapping.schema import MappingError
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services, services


class Command(BaseCommand):
    help = (
        "Explain one number as a call gets it now: its config, source, age, time to live, records "
        "and warnings. Exit status: 1 if the number is unknown."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("number", nargs="?", help="in any format")
        what.add_argument(
            "--all", action="store_true", help="every cached config as {number: {variable: value}}"
        )

        parser.add_argument(
            "--caller", default="", help="also what an agent gets about this caller"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        used = services()
        try:
            if options["all"]:
                self._print_all(used)
                return
            shown = _explain(used, options["number"], options["caller"])
        except (CacheUnavailable, AirtableError, MappingError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database: {error}") from error
        self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))

    def _print_all(self, used: Services) -> None:
        """Each config as soon as it is read: there may be many."""
        before = "{"
        for entry in known_entries(used):
            config = json.dumps(entry.config, indent=2, ensure_ascii=False).replace("\n", "\n  ")
            self.stdout.write(f'{before}\n  "{entry.number}": {config}', ending="")
            before = ","
        self.stdout.write("\n}" if before == "," else "{}")


def _explain(used: Services, text: str, caller: str) -> dict[str, Any]:
    number = used.active_mapping.number(text)
    if not number:
        raise CommandError(f"{text[:40]!r} is not a telephone number.")
    if not used.active_mapping.is_served(number):
        raise CommandError(f"{number} is unknown: it is not in TO_NUMBERS.")
    try:
        found = find_entry(used, number)
    except AirtableError as error:
        sentence = f"A call of {number} gets the defaults, because no source has it"
        raise CommandError(f"{sentence}: {error}") from error
    if not found.entry.is_known:
        is_cached = found.source != "airtable"
        reason = "the cache says so" if is_cached else "Airtable does not have it"
        raise CommandError(f"{number} is unknown: {reason}.")
    explanation = _explanation(used, found)
    return {**explanation, **({"caller": _caller(used, found.entry, caller)} if caller else {})}


def _caller(used: Services, entry: Entry, text: str) -> dict[str, Any]:
    """What an agent gets about this caller."""
    if not used.active_mapping.has_callers:
        raise CommandError("The mapping has no [callers]: callers are not looked up.")
    number = used.active_mapping.number(text)
    if not number:
        raise CommandError(f"{text[:40]!r} is not a telephone number.")
    keys = contact_keys(entry.records, number)
    contact = find_contact(used, keys)
    if contact is None:
        return {"known": False}
    return {"known": True, "variables": contact.config, "records": list(contact.records)}


def _explanation(used: Services, found: FoundEntry) -> dict[str, Any]:
    entry, age = found.entry, found.age_seconds
    lifetimes = used.command_store.lifetimes
    return {
        "number": entry.number,
        "config": entry.config,
        "settings": entry.settings,
        "source": found.source,
        "origin": entry.origin,
        "age_seconds": round(age),
        "fresh_for_seconds": max(0, round(lifetimes.fresh_seconds(entry) - age)),
        "time_to_live_seconds": max(0, round(lifetimes.total_seconds(entry) - age)),
        "records": list(entry.records),
        "warnings": list(entry.warnings),
    }
