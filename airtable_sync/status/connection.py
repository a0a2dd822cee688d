"""The page that tries the connections to Redis, the database and Airtable now."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.limits.request_limits import CALL_LIMITS
from airtable_sync.mapping.schema import MappingError, Source
from airtable_sync.models import Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import Services, services
from airtable_sync.status.permissions import page_context, requires_permission


@dataclass(frozen=True)
class Result:
    name: str
    error: str
    seconds: float


@require_GET
@requires_permission("refresh")
def connection(request: HttpRequest) -> HttpResponse:
    """Reads one page of records from Airtable, like a call that needs a lookup."""
    results = [_try(name, check) for name, check in _checks(services())]
    context = {
        **page_context(request, "Check the connection"),
        "results": results,
        "works": not any(each.error for each in results),
    }
    return render(request, "admin/cache/connection.html", context)


def _checks(used: Services) -> Iterator[tuple[str, Callable[[], object]]]:
    if used.configuration.has_redis:
        yield "Redis", used.status_store.now
    yield "Database", Run.objects.exists
    yield "Airtable", lambda: _read_airtable(used)


def _read_airtable(used: Services) -> None:
    """Records, because Airtable still returns the schema when the quota is exceeded."""
    table = used.active_mapping.mapping.roots[0].table
    next(used.new_client(CALL_LIMITS).pages(Source(table)))
    used.access.granted()


def _try(name: str, check: Callable[[], object]) -> Result:
    started, error = time.monotonic(), ""
    try:
        check()
    except (AirtableError, CacheUnavailable, DatabaseError, MappingError) as failure:
        error = str(failure)
    return Result(name, error, time.monotonic() - started)
