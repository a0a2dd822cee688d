"""Creating and ending the override of a number. Before it is saved, the user sees what callers will
get."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from airtable_sync.airtable.errors import AirtableError
from airtable_sync.cache.entry import Entry
from airtable_sync.models import Override
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.services import services
from airtable_sync.status.confirmation import confirmation
from airtable_sync.status.display.masking import mask, mask_pair
from airtable_sync.status.number import (
    TEMPLATE,
    number_context,
    number_details,
    number_url,
    redirect_to_number,
    requested_number,
)
from airtable_sync.status.number_details import NumberDetails
from airtable_sync.status.override_form import HOURS, OverrideForm
from airtable_sync.status.permissions import (
    log_action,
    may_see_secrets,
    page_context,
    requires_permission,
)
from airtable_sync.status.status_services import status_services

LATER = " Other processes follow within half a minute, or when Redis answers again."
PREVIEW = "admin/cache/override_preview.html"


@require_POST
@requires_permission("override")
def override(request: HttpRequest) -> HttpResponse:
    """First the preview; with `save` in the form it is created, with `change` the form is back."""
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    if not services().active_mapping.is_served(number):
        messages.error(request, "This number is not served.")
        return redirect("cache:number")
    details = number_details(request, number)
    may_see = may_see_secrets(request)
    form = OverrideForm(details.variables, may_see=may_see, data=request.POST)
    if not form.is_valid() or "change" in request.POST:
        context = {**number_context(request, number, details, form), "is_form_open": True}
        return render(request, TEMPLATE, context, status=200 if form.is_valid() else 422)
    entry = details.entry or Entry(number, None, 0, "lookup")
    if "save" not in request.POST:
        return render(request, PREVIEW, _preview(request, entry, details, form))
    return _save(request, entry, form)


def _preview(
    request: HttpRequest, entry: Entry, details: NumberDetails, form: OverrideForm
) -> dict[str, object]:
    may_see, variables = may_see_secrets(request), form.variables()
    after = Entry(entry.number, variables, 0, "override", entry.settings)
    names = dict.fromkeys([*details.variables, *variables])
    changes = {
        name: mask_pair(name, [details.variables.get(name), variables.get(name)], may_see=may_see)
        for name in names
        if details.variables.get(name) != variables.get(name)
    }
    return {
        **page_context(request, f"Override {entry.number}?"),
        "number": entry.number,
        "changes": changes,
        "shown_variables": mask(variables, may_see=may_see),
        "reason": form.cleaned_data["reason"],
        "duration": HOURS[form.cleaned_data["hours"]],
        "ends_at": form.ends_at(),
        "before": details.override,
        "hidden": form.sent_values(),
        "previews": status_services().number_reader.preview(entry.number, after, may_see=may_see),
    }


def _save(request: HttpRequest, entry: Entry, form: OverrideForm) -> HttpResponse:
    created, is_everywhere = services().overrides.create(
        entry,
        form.variables(),
        form.cleaned_data["reason"],
        form.ends_at(),
        request.user.get_username(),
    )
    log_action(request, f"Override: {created.reason}", str(created), Override, created.pk)
    end = f"{created.ends_at:%Y-%m-%d %H:%M} UTC"
    later = "" if is_everywhere else LATER
    messages.success(request, f"{entry.number} has an override until {end}.{later}")
    return redirect_to_number(entry.number)


@require_http_methods(["GET", "POST"])
@requires_permission("override")
def end_override(request: HttpRequest) -> HttpResponse:
    number = requested_number(request)
    if not number:
        return redirect("cache:number")
    if request.method == "GET":
        question = f"End the override of {number}?"
        effects = ["Airtable is read now. Agents get what it has instead of the override."]
        back, hidden = number_url(number), {"q": number}
        button = "End the override"
        return confirmation(request, question, effects, button=button, back=back, hidden=hidden)
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
            f"The override was ended. Agents get its variables until Airtable answers: {error}",
        )
        return
    found = f"{len(entry.config or {})} variables" if entry.is_known else "the number is unknown"
    messages.success(request, f"The override was ended. Read from Airtable: {found}.")
