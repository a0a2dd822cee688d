"""Creating and ending the override of a number."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry
from airtable_sync.models import Override
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.number import (
    TEMPLATE,
    number_context,
    number_details,
    redirect_to_number,
    requested_number,
)
from airtable_sync.status.override_form import OverrideForm
from airtable_sync.status.permissions import log_action, may_see_secrets, requires_permission
from airtable_sync.status.status_services import status_services

LATER = " Other processes follow within half a minute, or when Redis answers again."


@require_POST
@requires_permission("override")
def override(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    if not services().active_mapping.is_served(number):
        messages.error(request, "This number is not served.")
        return redirect("cache:number")
    details = number_details(request, number)
    may_see = may_see_secrets(request)
    form = OverrideForm(details.variables, may_see=may_see, data=request.POST)
    if not form.is_valid():
        context = number_context(request, number, details, form)
        return render(request, TEMPLATE, context, status=422)
    created, is_everywhere = services().overrides.create(
        details.entry or Entry(number, None, 0, "lookup"),
        form.variables(),
        form.cleaned_data["reason"],
        form.ends_at(),
        request.user.get_username(),
    )
    log_action(request, f"Override: {created.reason}", str(created), Override, created.pk)
    end = f"{created.ends_at:%Y-%m-%d %H:%M} UTC"
    later = "" if is_everywhere else LATER
    messages.success(request, f"{number} has an override until {end}.{later}")
    return redirect_to_number(number)


@require_POST
@requires_permission("override")
def end_override(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    try:
        services().overrides.end(number)
    except CacheUnavailable as error:
        messages.error(request, f"The override could not be ended: {error}")
        return redirect_to_number(number)
    log_action(request, "Ended the override.", number, Override)
    _read_again(request, number)
    return redirect_to_number(number)


def _read_again(request: HttpRequest, number: str) -> None:
    """Callers get the override's variables until Airtable is read."""
    try:
        entry = status_services().number_reader.read_again(number)
    except (AirtableError, CacheUnavailable) as error:
        messages.warning(
            request,
            f"The override was ended. Callers get its variables until Airtable answers: {error}",
        )
        return
    found = f"{len(entry.config or {})} variables" if entry.is_known else "the number is unknown"
    messages.success(request, f"The override was ended. Read from Airtable: {found}.")
