"""The first-run checklist, for the status page's template."""

from typing import Any

from django import template
from django.template.context import RequestContext

from airtable_sync.status.first_run.section import section

register = template.Library()


@register.inclusion_tag("admin/first_run/checklist.html", takes_context=True)
def first_run_checklist(context: RequestContext) -> dict[str, Any]:
    csrf_token = context.get("csrf_token")
    return {**section(context["request"]), "may": context["may"], "csrf_token": csrf_token}
