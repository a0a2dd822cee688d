"""The mapping in force: its text, where it comes from, whether it fits the base, and examples."""

from itertools import islice, zip_longest
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.limits.request_limits import COMMAND_LIMITS
from airtable_sync.cache.contacts import is_contact
from airtable_sync.drafts.differences import changed_lines, difference
from airtable_sync.drafts.publishing import FILE_WINS
from airtable_sync.mapping.reference import words
from airtable_sync.mapping.resolve import missing_in_base
from airtable_sync.mapping.schema import MappingError
from airtable_sync.mapping.source import MappingSource, description
from airtable_sync.models import MappingVersion
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.display.masking import mask
from airtable_sync.status.mapping.highlighting import highlighted
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission
from airtable_sync.status.status_services import status_services

EXAMPLES = 3
VERSIONS_SHOWN = 50


@require_GET
@requires_permission()
def mapping(request: HttpRequest) -> HttpResponse:
    source = services().active_mapping.source
    versions, database_error = _versions()
    context = {
        **page_context(request, "Mapping"),
        "description": description(source),
        "lines": _lines(source),
        "file_wins": FILE_WINS if services().mapping_versions.path else "",
        "versions": versions,
        "database_error": database_error,
        "expected": _expected_version(source, versions),
        "examples": _examples(request),
        "words": words(),
    }
    return render(request, "admin/mapping/mapping.html", context)


@require_GET
@requires_permission()
def problems(request: HttpRequest) -> HttpResponse:
    """A part of the page, fetched after it is shown: it takes one request to Airtable."""
    return render(request, "admin/mapping/problems.html", _problems())


@require_GET
@requires_permission()
def version(request: HttpRequest, number: int) -> HttpResponse:
    found = get_object_or_404(MappingVersion, number=number)
    before = MappingVersion.objects.filter(number__lt=number).first()
    context = {
        **page_context(request, f"Version {found.number} of the mapping"),
        "version": found,
        "before": before,
        "is_in_force": services().active_mapping.source.generation == found.generation,
        "is_read_only": bool(services().mapping_versions.path),
        "lines": highlighted(found.text),
        "difference": difference(before.text, found.text) if before else [],
    }
    return render(request, "admin/mapping/version.html", context)


def _expected_version(
    source: MappingSource, versions: list[dict[str, Any]]
) -> MappingVersion | None:
    """The version that was just published, which this process does not use yet."""
    if services().mapping_versions.path or not versions:
        return None
    newest: MappingVersion = versions[0]["version"]
    return newest if newest.generation != source.generation else None


def _lines(source: MappingSource) -> list[str]:
    try:
        return list(highlighted(source.text()))
    except MappingError as error:
        return [str(error)]


def _versions() -> tuple[list[dict[str, Any]], str]:
    """The newest first, with the count of lines that each changed."""
    try:
        found = list(MappingVersion.objects.all()[: VERSIONS_SHOWN + 1])
    except DatabaseError as error:
        return [], str(error)
    rows = []
    for each, before in zip_longest(found, found[1:]):
        added, removed = changed_lines(before.text if before else "", each.text)
        rows.append({"version": each, "added": added, "removed": removed})
    return rows[:VERSIONS_SHOWN], ""


def _examples(request: HttpRequest) -> list[dict[str, Any]]:
    """Three configs of the last published set, with the records that they are made of."""
    links, may_see = status_services().number_reader.record_links(), may_see_secrets(request)
    try:
        entries = services().snapshots.newest_entries()
        numbers = (each for each in entries if each.is_known and not is_contact(each.number))
        return [
            {
                "number": each.number,
                "config": mask(each.config or {}, may_see=may_see),
                "settings": each.settings,
                "records": links.links(each.records),
            }
            for each in islice(numbers, EXAMPLES)
        ]
    except DatabaseError:
        return []


def _problems() -> dict[str, Any]:
    used = services()
    if not used.configuration.airtable_api_key or not used.configuration.airtable_base_id:
        return {"error": "AIRTABLE_API_KEY and AIRTABLE_BASE_ID are not both set."}
    try:
        tables = used.new_client(COMMAND_LIMITS).read_tables()
        return {"problems": missing_in_base(used.active_mapping.mapping, tables)}
    except (AirtableError, CacheUnavailable, MappingError) as error:
        return {"error": str(error)}
