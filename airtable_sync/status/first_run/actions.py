"""The checklist's own addresses: try Airtable, dismiss the checklist, send a test call."""

from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from airtable_sync.models import Run
from airtable_sync.services import services
from airtable_sync.status.first_run.airtable_trial import try_airtable
from airtable_sync.status.first_run.call_sender import (
    CallNotSent,
    CallSender,
    SentCall,
    own_address,
)
from airtable_sync.status.first_run.checklist import TEST_CALL
from airtable_sync.status.first_run.section import dismiss, platforms, section
from airtable_sync.status.permissions import log_action, page_context, requires_permission


@require_GET
@requires_permission("refresh")
def try_first_steps(request: HttpRequest) -> HttpResponse:
    """The section again, after the token and the mapping were tried at Airtable."""
    context = {**page_context(request, ""), **section(request, try_airtable(services()))}
    return render(request, "admin/first_run/checklist.html", context)


@require_POST
@requires_permission("refresh")
def dismiss_checklist(request: HttpRequest) -> HttpResponse:
    dismiss(request.user.get_username())
    log_action(request, "Dismissed the first-run checklist.", "Checklist", Run)
    return redirect("cache:status")


@require_http_methods(["GET", "POST"])
@requires_permission("see_secrets")
def test_call(request: HttpRequest) -> HttpResponse:
    """The answer has the number's variables unmasked: so it needs the permission to see them."""
    number, platform = request.POST.get("q", ""), request.POST.get("platform", "")
    context = {
        **page_context(request, "Test call"),
        "platforms": platforms(),
        "q": number or request.GET.get("q", ""),
        "platform": platform,
    }
    if request.method == "POST" and (sent := _send(request, platform, number)):
        context["sent"] = sent
    return render(request, "admin/first_run/test_call.html", context)


def _send(request: HttpRequest, platform: str, text: str) -> SentCall | None:
    number = services().active_mapping.number(text)
    if number is None:
        messages.error(request, f"“{text[:40]}” is not a telephone number.")
        return None
    calls: CallSender = _app().call_sender
    try:
        sent = calls.send(platform, number, own_address(settings))
    except CallNotSent as error:
        messages.error(request, str(error))
        return None
    log_action(request, f"{TEST_CALL} {platform}.", number, Run)
    return sent


def _app() -> Any:
    return cast("Any", apps.get_app_config("airtable_sync"))
