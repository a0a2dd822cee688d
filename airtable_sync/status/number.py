"""The page of one called number. Other pages' actions on a number return here."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from airtable_sync.services import services
from airtable_sync.status.number_details import NumberDetails
from airtable_sync.status.override_form import OverrideForm
from airtable_sync.status.permissions import may_see_secrets, page_context, requires_permission
from airtable_sync.status.status_services import status_services

TEMPLATE = "admin/cache/number.html"
TITLE = "One number"


@require_GET
@requires_permission()
def number(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    found = services().active_mapping.number(text) if text else None
    if found is None:
        context = {**page_context(request, TITLE), "q": text, "is_invalid": bool(text)}
        return render(request, TEMPLATE, context)
    caller_text = request.GET.get("caller", "").strip()
    caller = services().active_mapping.number(caller_text) if caller_text else None
    details = number_details(request, found, caller or "")
    form = OverrideForm(details.variables, may_see=may_see_secrets(request))
    context = number_context(request, text, details, form)
    context |= {"caller": caller_text, "is_caller_invalid": bool(caller_text) and caller is None}
    return render(request, TEMPLATE, context)


def number_details(request: HttpRequest, called_number: str, caller: str = "") -> NumberDetails:
    reader = status_services().number_reader
    return reader.details(called_number, may_see=may_see_secrets(request), caller=caller)


def number_context(
    request: HttpRequest, text: str, details: NumberDetails, form: OverrideForm
) -> dict[str, Any]:
    """`text` is the number as the user typed it."""
    has_callers = services().active_mapping.has_callers
    own = {"q": text, "details": details, "form": form, "has_callers": has_callers}
    return {**page_context(request, TITLE), **own}


def requested_number(request: HttpRequest) -> str | None:
    """The number that an action is about, in E.164. None, with a message, if it is invalid."""
    text = request.POST.get("q") or request.GET.get("q") or ""
    found = services().active_mapping.number(text)
    if not found:
        messages.error(request, f"“{text[:40]}” is not a telephone number.")
    return found


def number_url(called_number: str) -> str:
    return f"{reverse('cache:number')}?{urlencode({'q': called_number})}"


def redirect_to_number(called_number: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(number_url(called_number))
