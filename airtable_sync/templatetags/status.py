"""How the status page writes moments, durations and figures."""

import re
from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from airtable_sync.models import Run
from airtable_sync.status.display import units

register = template.Library()
register.filter("lasting", units.lasting)
register.filter("short", units.short)
register.filter("size", units.size)
register.filter("share", units.share)


@register.filter
def moment(value: datetime | int | float | None, now: datetime | None = None) -> SafeString | str:
    """How long ago, with the moment itself for who points at it. Numbers are in seconds."""
    if not value:
        return "never"
    when = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        when.isoformat(),
        f"{when:%Y-%m-%d %H:%M:%S}",
        units.ago(when, now),
    )


@register.filter
def commands(sentence: str) -> SafeString:
    """What stands between backticks is to be typed."""
    parts = re.split(r"`([^`]+)`", sentence)
    pieces = [("<code>{}</code>" if place % 2 else "{}", part) for place, part in enumerate(parts)]
    return format_html("".join(piece for piece, _ in pieces), *(part for _, part in pieces))


@register.filter
def number(value: float | None) -> str:
    return units.NONE if value is None else f"{value:,}"


@register.filter
def differences(run: Run) -> str:
    """Of a run, in words."""
    if run.status in (Run.Status.RUNNING, Run.Status.FAILED, Run.Status.REFUSED):
        return ""
    counted = {"added": run.added, "changed": run.changed, "removed": run.removed}
    return ", ".join(f"{count:,} {what}" for what, count in counted.items() if count) or "none"


@register.filter
def duration(run: Run) -> str:
    """Of a run."""
    return (
        units.short((run.ended_at - run.started_at).total_seconds()) if run.ended_at else units.NONE
    )
