"""Propose a mapping from the base, as `inspect_airtable` does, with a few choices."""

from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.airtable.limits.request_limits import COMMAND_LIMITS
from airtable_sync.mapping.text_format import known_locale
from airtable_sync.proposal.candidates import NotProposed, SeveralCandidates
from airtable_sync.proposal.examples import example_configs
from airtable_sync.proposal.proposal import Choices, propose
from airtable_sync.proposal.reading import read_base
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.display.masking import mask
from airtable_sync.status.mapping.highlighting import highlighted
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission

SEPARATOR = "\x1f"  # between a table and a field: no name in Airtable has it
ZONES = sorted(each for each in available_timezones() if "/" in each or each == "UTC")


@require_http_methods(["GET", "POST"])
@requires_permission("change_mapping")
def propose_mapping(request: HttpRequest) -> HttpResponse:
    """Reads the base with five requests at most, each time."""
    if services().mapping_versions.path:
        return redirect("cache:mapping")
    context = {**page_context(request, "Propose a mapping"), "zones": ZONES}
    if request.method == "POST":
        context |= _proposal(request)
    return render(request, "admin/mapping/propose.html", context)


def _proposal(request: HttpRequest) -> dict[str, Any]:
    table = request.POST.get("table", "")
    locale, zone = request.POST.get("locale", "").strip(), request.POST.get("time_zone", "").strip()
    asked = {"table": table, "locale": locale, "time_zone": zone}
    asked |= {"region": _region(request)}
    if problem := _wrong_choice(asked["region"], locale, zone):
        return {**asked, "error": problem}
    try:
        base = read_base(services().new_client(COMMAND_LIMITS))
    except (AirtableError, CacheUnavailable) as error:
        return {**asked, "error": str(error)}
    tables = [each.name for each in base.tables]
    try:
        found = propose(base, table, _choices(request, locale, zone))
        examples = example_configs(found.toml, base)
    except SeveralCandidates as error:
        return {**asked, "tables": tables, "candidates": error.candidates}
    except (NotProposed, AirtableError, CacheUnavailable) as error:
        return {**asked, "tables": tables, "error": str(error)}
    may_see = may_see_secrets(request)
    return {
        **asked,
        "table": found.candidate.table.name,
        "region": found.region,
        "tables": tables,
        "proposal": found,
        "fields": [(f"{e.table}{SEPARATOR}{e.name}", e) for e in found.fields],
        "snake_case": 'names = "snake_case"' in found.toml,
        "lines": highlighted(found.toml),
        "examples": {n: mask(config, may_see=may_see) for n, config in examples.items()},
    }


def _choices(request: HttpRequest, locale: str, zone: str) -> Choices:
    """The form says which fields it showed, and which of them are ticked. A table that was chosen
    just now has no ticks yet."""
    region = _region(request)
    shown = request.POST.get("shown_table")
    if not shown or request.POST.get("table") != shown:
        return Choices(locale=locale, time_zone=zone, region=region)
    ticked = set(request.POST.getlist("field"))
    return Choices(
        left_out=_pairs(set(request.POST.getlist("shown")) - ticked),
        included=_pairs(ticked),
        snake_case="snake_case" in request.POST,
        locale=locale,
        time_zone=zone,
        region=region,
    )


def _region(request: HttpRequest) -> str:
    return request.POST.get("region", "").strip().upper()


def _pairs(keys: set[str]) -> frozenset[tuple[str, str]]:
    parts = (each.partition(SEPARATOR) for each in keys)
    return frozenset((table, name) for table, _, name in parts)


def _wrong_choice(region: str, locale: str, zone: str) -> str:
    if region and region not in phonenumbers.SUPPORTED_REGIONS:
        return f"“{region[:40]}” is not a country code of two letters, such as BE."
    if zone and zone not in ZONES:
        return f"“{zone[:40]}” is not a time zone, such as Europe/Brussels."
    try:
        if locale:
            known_locale(locale)
    except ValueError as error:
        return f"“{locale[:40]}” {error}."
    return ""
