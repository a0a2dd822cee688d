"""`manage.py show_config`: one number explained, or every cached config."""

import json
import logging
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache import snapshots
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import PATIENT, CacheUnavailable
from airtable_sync.lookup.airtable_lookup import is_served, look_up
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import MappingError, current

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Explain one number: its config, where it comes from, its age, how long it lives, its "
        "records and warnings. Exits with 1 if the number is unknown."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("number", nargs="?", help="in any form people write it")
        what.add_argument(
            "--all", action="store_true", help="every cached config as {number: {variable: value}}"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            shown = _every_config() if options["all"] else _explanation(options["number"])
        except (CacheUnavailable, AirtableError, MappingError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database: {error}") from error
        self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))


def _every_config() -> dict[str, dict[str, str]]:
    if settings.REDIS_URL:
        entries = PATIENT.read_many(sorted(PATIENT.numbers()))
    else:
        entries = snapshots.newest_entries()
    return {entry.number: entry.config for entry in entries if entry.config is not None}


def _explanation(text: str) -> dict[str, Any]:
    number = e164(text, current().region)
    if not number:
        raise CommandError(f"{text[:40]!r} is no telephone number.")
    if not is_served(number):
        raise CommandError(f"{number} is unknown: it is not in TO_NUMBERS.")
    cached = _cached(number)
    where = "redis" if settings.REDIS_URL else "database"
    entry = cached or _from_airtable(number)
    if not entry.known:
        who = "the cache says so" if cached else "Airtable does not have it"
        raise CommandError(f"{number} is unknown: {who}.")
    return _explained(entry, where if cached else "airtable")


def _cached(number: str) -> Entry | None:
    """From the copy that processes share; without it, a number can still be explained from
    Airtable."""
    if not settings.REDIS_URL:
        return next((e for e in snapshots.newest_entries() if e.number == number), None)
    try:
        return PATIENT.read(number)
    except CacheUnavailable as error:
        logger.warning("The cache can't be read; Airtable is asked instead: %s", error)
        return None


def _from_airtable(number: str) -> Entry:
    return look_up([number], Airtable(REFRESH_LIMITS))[number]


def _explained(entry: Entry, source: str) -> dict[str, Any]:
    age = entry.age_seconds(int(time.time() * 1000))
    return {
        "number": entry.number,
        "config": entry.config,
        "settings": entry.settings,
        "source": source,
        "read_by": entry.by,
        "age_seconds": round(age),
        "fresh_for_seconds": max(0, round(entry.fresh_seconds - age)),
        "time_to_live_seconds": max(0, round(entry.lifetime_seconds - age)),
        "records": list(entry.records),
        "warnings": list(entry.warnings),
    }
