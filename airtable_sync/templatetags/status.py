"""Template filters of the status page: moments, durations, sizes and counts as text."""

import re
from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from airtable_sync.models import Run
from airtable_sync.status.display import units

REASON_SHOWN = 160  # characters, in a row of the list

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
    """Also those of a rejected run, which were not published."""
    counts = {"added": run.added, "changed": run.changed, "removed": run.removed}
    text = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    if run.status == Run.Status.REFUSED:
        return f"{text}, not published" if text else ""
    return "" if run.status in (Run.Status.RUNNING, Run.Status.FAILED) else text or "none"


@register.filter
def run_reason(run: Run) -> str:
    """Why it was rejected or failed, shortened."""
    if run.status not in (Run.Status.REFUSED, Run.Status.FAILED) or not run.message:
        return ""
    reason = f"{run.message[:1].upper()}{run.message[1:]}"
    return reason if len(reason) <= REASON_SHOWN else f"{reason[: REASON_SHOWN - 1]}…"


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
