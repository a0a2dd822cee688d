"""The buttons of the checklist: dismiss it, and send a test call."""

import os
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from airtable_sync.models import Dismissal, Run
from airtable_sync.services import services
from airtable_sync.status.first_run.call_sender import CallNotSent, CallSender, SentCall
from airtable_sync.status.permissions import log_action, page_context, requires_permission

CHECKLIST = "first-run checklist"


@require_POST
@requires_permission("refresh")
def dismiss_checklist(request: HttpRequest) -> HttpResponse:
    dismiss(request.user.get_username())
    log_action(request, "Dismissed the first-run checklist.", "Checklist", Run)
    return redirect("cache:status")


def dismiss(user: str) -> None:
    """Raises DatabaseError."""
    values = {"user": user, "dismissed_at": timezone.now()}
    Dismissal.objects.update_or_create(part=CHECKLIST, defaults=values)


@require_http_methods(["GET", "POST"])
@requires_permission("see_secrets")
def test_call(request: HttpRequest) -> HttpResponse:
    """The answer has the number's variables unmasked: so it needs the permission to see them."""
    number, platform = request.POST.get("q", ""), request.POST.get("platform", "")
    context = {
        **page_context(request, "Test call"),
        "platforms": _app().platform_previews.platforms(),
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
        sent = calls.send(platform, number, own_address())
    except CallNotSent as error:
        messages.error(request, str(error))
        return None
    log_action(request, f"Sent a test call as {platform}.", number, Run)
    return sent


def own_address() -> str:
    """The public one, as a platform would use it; without it, this machine's."""
    return settings.PUBLIC_URL or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"


def _app() -> Any:
    return cast("Any", apps.get_app_config("airtable_sync"))
