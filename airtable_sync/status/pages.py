"""What is shown. Nothing here changes anything, and nothing asks Airtable."""

from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from django.views.decorators.http import require_GET

from airtable_sync.airtable import quota
from airtable_sync.cache.redis_store import CacheUnavailable
from airtable_sync.mapping import base_schema
from airtable_sync.mapping.phone_numbers import e164
from airtable_sync.mapping.schema import current
from airtable_sync.models import Run, Snapshot
from airtable_sync.monitoring.calls import answer_log
from airtable_sync.monitoring.metrics.time_series import Span
from airtable_sync.status import closest_known_numbers, number_details
from airtable_sync.status.display import charts, record_links
from airtable_sync.status.display.masking import MASK, is_secret, masked
from airtable_sync.status.display.refresh_progress import steps
from airtable_sync.status.health.collect import STATUS, gather
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.verdict import verdict
from airtable_sync.status.override_form import OverrideForm
from airtable_sync.status.permissions import allowed, needs

DIFFERENCES_SHOWN = 200
ANSWERS_SHOWN = 50


@require_GET
@needs()
def status(request: HttpRequest) -> HttpResponse:
    """The page; with `?live`, only what changes while it is open."""
    span = cast(
        "Span", request.GET.get("span") if request.GET.get("span") in charts.SPANS else "hour"
    )
    facts = gather(span)
    context = {
        **_common(request, "Cache status"),
        "facts": facts,
        "verdict": verdict(facts),
        "chart": charts.of(facts.redis.history) if facts.redis else None,
        "spans": charts.SPANS,
        "span": span,
        "steps": steps(facts.running, facts.database.expected)
        if facts.running and facts.database
        else [],
        "unknown": _unknown(facts),
        "forecast": quota,
    }
    template = "live" if "live" in request.GET else "status"
    return render(request, f"admin/cache/{template}.html", context)


@require_GET
@needs()
def run(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Run, pk=pk)
    details, table_ids = found.details, base_schema.table_ids(STATUS)
    newest = Snapshot.objects.defer("content").first()
    context = {
        **_common(request, f"Run {found.pk}"),
        "run": found,
        "snapshot": Snapshot.objects.defer("content").filter(run=found).first(),
        "newest": newest,
        "differences": _differences(request, details)[:DIFFERENCES_SHOWN],
        "not_shown": max(0, found.added + found.changed + found.removed - DIFFERENCES_SHOWN),
        "conflicts": [
            (each["number"], [record_links.link(record, table_ids) for record in each["records"]])
            for each in details.get("conflicts", ())
        ],
        "invalid": [
            (record_links.link(each["record"], table_ids), each["reason"])
            for each in details.get("invalid", ())
        ],
        "warnings": details.get("warnings", ()),
    }
    return render(request, "admin/cache/run.html", context)


@require_GET
@needs()
def number(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    asked = e164(text, current().region) if text else None
    context = {**_common(request, "One number"), "q": text, "asked": asked}
    if asked:
        may_see = allowed(request)["see_secrets"]
        shown = number_details.explain(asked, may_see=may_see)
        context |= {"shown": shown, "form": OverrideForm(shown.variables, may_see=may_see)}
    return render(request, "admin/cache/number.html", context)


@require_GET
@needs()
def answers(request: HttpRequest) -> HttpResponse:
    """What was this caller told?"""
    text, before = request.GET.get("q", "").strip(), _moment(request.GET.get("before", ""))
    asked = e164(text, current().region) if text else ""
    found: list[answer_log.LoggedAnswer] = []
    trouble = "" if asked is not None else f"{text[:40]} is no telephone number."
    if not trouble:
        try:
            found = answer_log.search(asked or "", before, ANSWERS_SHOWN, STATUS)
        except CacheUnavailable as error:
            trouble = f"The log of answers is in Redis, which does not answer: {error}"
    may_see = allowed(request)["see_secrets"]
    rows = [(each, masked(each.variables or {}, may_see=may_see)) for each in found]
    context = {
        **_common(request, "What was this caller told?"),
        "q": text,
        "before": request.GET.get("before", ""),
        "rows": rows,
        "trouble": trouble,
        "older": found[-1].at if len(found) == ANSWERS_SHOWN else None,
    }
    return render(request, "admin/cache/answers.html", context)


def _common(request: HttpRequest, title: str) -> dict[str, Any]:
    return {**admin.site.each_context(request), "title": title, "may": allowed(request)}


def _unknown(facts: Facts) -> list[tuple[Any, str | None]]:
    """Numbers that were called and are not known, with the nearest known one."""
    called = facts.redis.unknown if facts.redis else []
    nearest = closest_known_numbers.closest_known(each.number for each in called)
    return [(each, nearest.get(each.number)) for each in called]


def _differences(request: HttpRequest, details: dict[str, Any]) -> list[dict[str, Any]]:
    may_see = allowed(request)["see_secrets"]
    return [
        {
            **each,
            "fields": {
                name: [MASK if text and not may_see and is_secret(name) else text for text in pair]
                for name, pair in each["fields"].items()
            },
        }
        for each in details.get("differences", ())
    ]


def _moment(text: str) -> datetime | None:
    """What a browser's field for date and time sends, in UTC."""
    try:
        when = parse_datetime(text)
    except ValueError:
        return None
    return make_aware(when) if when and is_naive(when) else when
