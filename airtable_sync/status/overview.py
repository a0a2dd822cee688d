"""The status page: verdict, calls, cache, Airtable, runs, unknown numbers, overrides."""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumber
from airtable_sync.monitoring.export.time_series import Span
from airtable_sync.status.buttons import buttons
from airtable_sync.status.display.charts import SPANS, calls_chart
from airtable_sync.status.display.record_links import RecordLink
from airtable_sync.status.display.refresh_progress import Step, progress_steps
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.records_to_fix import RecordToFix
from airtable_sync.status.health.verdict import verdict
from airtable_sync.status.permissions import page_context, requires_permission
from airtable_sync.status.started_action import StartedAction, outcome_of
from airtable_sync.status.status_services import status_services


@require_GET
@requires_permission()
def overview(request: HttpRequest) -> HttpResponse:
    """With `?live` only the parts that are updated while the page is open."""
    span = _span(request)
    facts = status_services().collector.collect(span)
    started = StartedAction.parse(request.GET.get("started", ""))
    context = {
        **(page := page_context(request, "Cache status")),
        "buttons": buttons(facts, page["may"]),
        "facts": facts,
        "verdict": verdict(facts),
        "started": started or "",
        "outcome": outcome_of(started, facts, request.user.get_username()),
        "records_to_fix": _records_to_fix(facts),
        "chart": calls_chart(facts.redis.time_series) if facts.redis else None,
        "spans": SPANS,
        "span": span,
        "steps": _progress_steps(facts),
        "unknown_numbers": _unknown_numbers(facts),
    }
    template = "live" if "live" in request.GET else "status"
    return render(request, f"admin/cache/{template}.html", context)


def _span(request: HttpRequest) -> Span:
    asked = request.GET.get("span")
    return cast("Span", asked) if asked in SPANS else "hour"


def _progress_steps(facts: Facts) -> list[Step]:
    if not facts.running_refresh or not facts.database:
        return []
    return progress_steps(facts.running_refresh, facts.database.expected_records)


def _records_to_fix(facts: Facts) -> list[tuple[RecordToFix, list[RecordLink]]]:
    found = facts.database.records_to_fix if facts.database else None
    links = status_services().number_reader.record_links()
    return [(each, links.links(each.records)) for each in (found.shown if found else ())]


def _unknown_numbers(facts: Facts) -> list[tuple[UnknownNumber, str | None]]:
    """Unknown numbers that were called, each with the closest known number."""
    called = facts.redis.unknown_numbers if facts.redis else []
    closest = status_services().closest_numbers.find(each.number for each in called)
    return [(each, closest.get(each.number)) for each in called]
