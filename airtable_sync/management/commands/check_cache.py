"""`manage.py check_cache`: do Redis and Airtable work, and does the mapping fit the base?"""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from airtable_sync.airtable.client import AirtableClient
from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.limits.request_limits import COMMAND_LIMITS
from airtable_sync.airtable.pages import PAGE_SIZE
from airtable_sync.management.platform_checks import PlatformChecks
from airtable_sync.management.redis_checks import Check, CheckFailed, CheckWarning, RedisChecks
from airtable_sync.mapping.records import BaseTables, Record
from airtable_sync.mapping.resolve import missing_in_base
from airtable_sync.mapping.schema import Mapping, MappingError, Source
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services, platform_rules, services


@dataclass(frozen=True)
class Result:
    check: str
    ok: bool
    milliseconds: float
    detail: str = ""
    warning: bool = False

    def __str__(self) -> str:
        status = "WARN  " if self.warning else "ok    " if self.ok else "FAILED"
        return f"{status} {self.check:<22} {self.milliseconds:8.1f} ms  {self.detail}".rstrip()


class Command(BaseCommand):
    help = (
        "Try everything that Siftly needs of the configured Redis, then read Airtable and compare "
        "the mapping with the base's schema, and with what the platforms can use. Exit status: 0 "
        "if everything works, else 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        used = services()
        results = []
        for group in (_shared_copy_checks(used), _airtable_checks(used)):
            for check in group:
                results.append(_run(check))
                if not options["json"]:
                    self.stdout.write(str(results[-1]))
                if not results[-1].ok and check.required:
                    break  # the others of this group depend on it
        ok = all(result.ok for result in results)
        if options["json"]:
            checks = [asdict(result) for result in results]
            self.stdout.write(json.dumps({"ok": ok, "checks": checks}))
        if not ok:
            raise SystemExit(1)


def _run(check: Check) -> Result:
    started, warning = time.perf_counter(), False
    try:
        ok, detail = True, check.run()
    except CheckWarning as found:
        ok, detail, warning = True, str(found), True
    except (CheckFailed, AirtableError, MappingError, CacheUnavailable) as error:
        ok, detail = False, str(error)
    return Result(check.name, ok, (time.perf_counter() - started) * 1000, detail, warning)


def _shared_copy_checks(used: Services) -> list[Check]:
    if used.configuration.has_redis:
        return RedisChecks(used).all()
    return [Check("shared copy", lambda: _describe_database(used))]


def _describe_database(used: Services) -> str:
    try:
        newest = used.snapshots.newest()
    except DatabaseError as error:
        raise CheckFailed(f"REDIS_URL is not set, and the database fails: {error}") from error
    return (
        "REDIS_URL is not set: the database's newest snapshot is the shared copy, read again every "
        f"30 s ({newest or 'there is none yet'})"
    )


def _airtable_checks(used: Services) -> list[Check]:
    client = used.new_client(COMMAND_LIMITS)
    tables: list[BaseTables] = []

    def read_records() -> str:
        used.rate_limiter.unblock()
        # Records, because Airtable still returns the schema when the quota is exceeded.
        table = used.active_mapping.mapping.roots[0].table
        records = next(client.pages(Source(table)))
        used.access.granted()
        return f"{len(records)} records on the first page of {table}{_usage(used)}"

    def read_schema() -> str:
        tables.append(used.command_schema.store_tables(client.read_tables()))
        return f"{len(tables[0].ids)} tables"

    return [
        Check("airtable records", read_records, required=True),
        Check("airtable schema", read_schema, required=True),
        Check("mapping", lambda: _compare_mapping(used, tables[0])),
        *_filter_checks(used, client),
        *PlatformChecks(used, platform_rules()).all(),
    ]


def _filter_checks(used: Services, client: AirtableClient) -> list[Check]:
    """Only Airtable knows whether a filter is right."""

    def limited(mapping: Mapping) -> list[Source]:
        return [each for each in mapping.sources().values() if each.view or each.filter]

    def try_filters() -> str:
        mapping = used.active_mapping.in_base(used.command_schema.known())
        counts = [f"{each.key}: {_count(next(client.pages(each)))}" for each in limited(mapping)]
        return "; ".join(counts)

    try:
        has_limits = bool(limited(used.active_mapping.mapping))
    except MappingError:
        return []  # the check before says why
    return [Check("views and filters", try_filters)] if has_limits else []


def _count(page: list[Record]) -> str:
    return f"{len(page)} records" if len(page) < PAGE_SIZE else f"{PAGE_SIZE} records or more"


def _usage(used: Services) -> str:
    try:
        usage = used.rate_limiter.usage()
    except CacheUnavailable:
        return ""
    return f"; {usage.requests} requests in {usage.month}, forecast for the month: {usage.forecast}"


def _compare_mapping(used: Services, tables: BaseTables) -> str:
    mapping = used.active_mapping.mapping
    if missing := missing_in_base(mapping, tables):
        raise CheckFailed("; ".join(missing) + ".")
    return f"{mapping.path} fits the base"
