"""The first-run checklist, for the status page's template."""

from typing import Any

from django import template
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError
from django.template.context import RequestContext

from airtable_sync.models import Dismissal
from airtable_sync.services import services
from airtable_sync.status.first_run.actions import CHECKLIST, dismiss, own_address
from airtable_sync.status.first_run.checklist import checklist

register = template.Library()


@register.inclusion_tag("admin/first_run/checklist.html", takes_context=True)
def first_run_checklist(context: RequestContext) -> dict[str, Any]:
    """Nothing when everything is done, when it was dismissed, or while the database is down."""
    platforms = apps.get_app_config("airtable_sync").platform_previews.platforms()  # type: ignore[attr-defined]
    try:
        if Dismissal.objects.filter(part=CHECKLIST).exists():
            return {}
        items = checklist(services(), platforms, settings)
        if all(each.is_done for each in items):
            dismiss(user="")  # so that no later page has to look
            return {}
    except DatabaseError:
        return {}
    return {
        "items": items,
        "done": sum(each.is_done for each in items),
        "addresses": [f"{own_address()}/webhooks/{each}/" for each in platforms],
        "may": context["may"],
        "csrf_token": context.get("csrf_token"),
    }
