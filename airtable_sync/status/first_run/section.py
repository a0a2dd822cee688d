"""The status page's section “First steps”: the checklist, and each platform's address with the
docs' steps for entering it."""

from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from airtable_sync.models import Dismissal
from airtable_sync.monitoring.guidance import help_path, platform_page
from airtable_sync.services import services
from airtable_sync.status.first_run.airtable_trial import AirtableTrial
from airtable_sync.status.first_run.checklist import checklist, missing_variables
from airtable_sync.status.help_pages import section_of

PART = "first-run checklist"


@dataclass(frozen=True)
class Address:
    platform: str
    url: str
    steps: SafeString  # where to click
    help_path: str


def section(request: HttpRequest, trial: AirtableTrial | None = None) -> dict[str, Any]:
    """For the template. Empty when everything is done, when it was dismissed, or while the
    database is down."""
    used = services()
    try:
        if Dismissal.objects.filter(part=PART).exists():
            return {}
        items = checklist(used, platforms(), settings, trial)
        if all(each.is_done for each in items):
            dismiss(user="")  # so that no later page has to look
            return {}
    except DatabaseError:
        return {}
    return {
        "items": [(each, help_path(each.topic)) for each in items],
        "done": sum(each.is_done for each in items),
        "addresses": _addresses(request),
        "may_be_tried": trial is None and not missing_variables(used),
    }


def dismiss(user: str) -> None:
    """Raises DatabaseError."""
    values = {"user": user, "dismissed_at": timezone.now()}
    Dismissal.objects.update_or_create(part=PART, defaults=values)


def platforms() -> tuple[str, ...]:
    """Those that have a secret."""
    app = cast("Any", apps.get_app_config("airtable_sync"))
    return cast("tuple[str, ...]", app.platform_previews.platforms())


def _addresses(request: HttpRequest) -> list[Address]:
    """Without PUBLIC_URL with the host that this page was called at."""
    origin = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
    return [
        Address(
            each,
            f"{origin}/webhooks/{each}/",
            section_of(platform_page(each), "Set it up", origin),
            reverse("cache:help", args=[platform_page(each)]),
        )
        for each in platforms()
    ]
