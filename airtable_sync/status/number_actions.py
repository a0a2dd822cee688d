"""Actions on one called number: read it from Airtable, remove it from the cache."""

import time

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry
from airtable_sync.models import Run
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.confirmation import confirmation
from airtable_sync.status.display.units import short_duration
from airtable_sync.status.number import (
    number_details,
    number_url,
    redirect_to_number,
    requested_number,
)
from airtable_sync.status.permissions import log_action, requires_permission
from airtable_sync.status.status_services import status_services


@require_POST
@requires_permission("reread")
def reread(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    started, reader = time.monotonic(), status_services().number_reader
    before, _ = reader.cached_entry(number)
    try:
        entry = reader.read_again(number)
    except (AirtableError, CacheUnavailable) as error:
        messages.error(request, f"It could not be read from Airtable: {error}")
    else:
        duration = short_duration(time.monotonic() - started)
        result = _comparison(before, entry)
        messages.success(request, f"Read from Airtable in {duration}: {result}.")
        log_action(request, "Read from Airtable.", number, Run)
    return redirect_to_number(number)


@require_http_methods(["GET", "POST"])
@requires_permission("drop")
def drop(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    if not number_details(request, number).can_drop:
        reason = "it has an override, or is not in Redis"
        messages.error(request, f"{number} can't be removed from the cache: {reason}.")
        return redirect_to_number(number)
    if request.method == "GET":
        question = f"Remove {number} from the cache?"
        effects = ["Its next call waits for Airtable, or gets the defaults."]
        back, hidden = number_url(number), {"q": number}
        button = "Remove from cache"
        return confirmation(request, question, effects, button=button, back=back, hidden=hidden)
    try:
        services().overrides.drop(number)
    except CacheUnavailable as error:
        messages.error(request, f"It could not be removed from the cache: {error}")
    else:
        log_action(request, "Removed from the cache.", number, Run)
        message = f"{number} was removed from the cache. Its next call needs a lookup."
        messages.success(request, message)
    return redirect_to_number(number)


def _comparison(before: Entry | None, entry: Entry) -> str:
    if not entry.is_known:
        return "the number is unknown there"
    if before is None or not before.is_known:
        return f"{len(entry.config or {})} variables"
    if before.origin == "override":
        return "the override stays in force"
    return "nothing changed" if before.digest() == entry.digest() else "it has changed"
