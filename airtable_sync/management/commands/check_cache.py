"""`manage.py check_cache`: do Redis and Airtable work, and does the mapping fit the base?"""

import json
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from airtable_sync.airtable import access, rate_limiter
from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable, Schema
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache import snapshots
from airtable_sync.cache.redis_store import PATIENT, CacheUnavailable
from airtable_sync.mapping import base_schema
from airtable_sync.mapping.schema import MappingError, current

EXPIRES_IN_SECONDS = 0.05
# One try each: somebody is watching.
IMPATIENT = replace(REFRESH_LIMITS, pauses=(), budget_seconds=30.0, is_call=True)


class Failed(Exception):
    """A check failed; the message says how."""


@dataclass(frozen=True)
class Result:
    check: str
    ok: bool
    milliseconds: float
    detail: str = ""

    def __str__(self) -> str:
        mark = "ok    " if self.ok else "FAILED"
        return f"{mark} {self.check:<22} {self.milliseconds:8.1f} ms  {self.detail}".rstrip()


class Command(BaseCommand):
    help = (
        "Set, get, compare and expire a value in the configured Redis, then reach Airtable and "
        "compare the mapping with the base's schema. Exits with 0 if all is well, else with 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        results = []
        for group in (_redis_checks(), _airtable_checks()):
            for check, run in group:
                results.append(_run(check, run))
                if not options["json"]:
                    self.stdout.write(str(results[-1]))
                if not results[-1].ok:
                    break  # what follows in this group builds on it
        ok = all(result.ok for result in results)
        if options["json"]:
            checks = [asdict(result) for result in results]
            self.stdout.write(json.dumps({"ok": ok, "checks": checks}))
        if not ok:
            raise SystemExit(1)


Check = tuple[str, Callable[[], str]]  # a name, and what returns a detail or raises Failed


def _run(check: str, run: Callable[[], str]) -> Result:
    started = time.perf_counter()
    try:
        ok, detail = True, run()
    except (Failed, AirtableError, MappingError, CacheUnavailable) as error:
        ok, detail = False, str(error)
    return Result(check, ok, (time.perf_counter() - started) * 1000, detail)


def _redis_checks() -> list[Check]:
    name, value = f"check:{secrets.token_hex(8)}", secrets.token_hex(8)

    def write() -> str:
        PATIENT.remember(name, value, 60)
        return ""

    def read() -> str:
        if PATIENT.recall(name) != value:
            raise Failed("Redis does not give back what was written.")
        return ""

    def expire() -> str:
        PATIENT.remember(name, value, EXPIRES_IN_SECONDS)
        time.sleep(2 * EXPIRES_IN_SECONDS)
        if PATIENT.recall(name) is not None:
            raise Failed("Redis keeps what should have expired.")
        return ""

    if not settings.REDIS_URL:
        return [("shared copy", _the_database)]
    return [("redis set", write), ("redis get and compare", read), ("redis expire", expire)]


def _the_database() -> str:
    try:
        newest = snapshots.newest()
    except DatabaseError as error:
        raise Failed(f"REDIS_URL is not set, and the database fails: {error}") from error
    return (
        "REDIS_URL is not set: the database's last good set is the shared copy, re-read every "
        f"30 s ({newest or 'there is none yet'})"
    )


def _airtable_checks() -> list[Check]:
    airtable = Airtable(IMPATIENT)
    schemas: list[Schema] = []

    def reach() -> str:
        rate_limiter.unblock()
        # A page of records: after the month's quota the schema alone is still answered.
        table = current().root.table
        records = next(airtable.all(table))
        access.granted()
        return f"{len(records)} records on the first page of {table}{_spent()}"

    def read_schema() -> str:
        schemas.append(base_schema.renew(PATIENT, airtable))
        return f"{len(schemas[0].ids)} tables"

    return [
        ("airtable records", reach),
        ("airtable schema", read_schema),
        ("mapping", lambda: _compare_mapping(schemas[0])),
    ]


def _spent() -> str:
    try:
        month = rate_limiter.month()
    except CacheUnavailable:
        return ""
    return f"; {month.requests} requests in {month.month}, {month.forecast} at this rate by its end"


def _compare_mapping(schema: Schema) -> str:
    mapping = current()
    if missing := base_schema.missing(mapping, schema):
        raise Failed("; ".join(missing) + ".")
    return f"{mapping.path} fits the base"
