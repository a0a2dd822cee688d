"""Template filters of the status page: moments, durations, sizes and counts as text."""

import re
from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from airtable_sync.models import Run
from airtable_sync.status.display import units

register = template.Library()
register.filter("long_duration", units.long_duration)
register.filter("short_duration", units.short_duration)
register.filter("size", units.size)
register.filter("share", units.share)


@register.filter
def moment(value: datetime | float | None, now: datetime | None = None) -> SafeString | str:
    """The time since or until a moment, with the exact moment as a tooltip. A number is in seconds
    since 1970."""
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
def code(sentence: str) -> SafeString:
    """Text between backticks becomes a <code> element."""
    parts = re.split(r"`([^`]+)`", sentence)
    formats = ["<code>{}</code>" if place % 2 else "{}" for place in range(len(parts))]
    return format_html("".join(formats), *parts)


@register.filter
def number(value: float | None) -> str:
    return units.NONE if value is None else f"{value:,}"


@register.filter
def run_differences(run: Run) -> str:
    if run.status in (Run.Status.RUNNING, Run.Status.FAILED, Run.Status.REFUSED):
        return ""
    counts = {"added": run.added, "changed": run.changed, "removed": run.removed}
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count) or "none"


@register.filter
def run_sentence(run: Run) -> str:
    """What a run that has ended did."""
    if run.message:
        return f"{run.message[:1].upper()}{run.message[1:]}"
    numbers = units.count(run.numbers, "number")
    changed = run.added or run.changed or run.removed
    return f"{numbers}: {run_differences(run) if changed else 'nothing changed'}."


@register.filter
def run_duration(run: Run) -> str:
    if not run.ended_at:
        return units.NONE
    return units.short_duration((run.ended_at - run.started_at).total_seconds())
