"""How the status page writes moments, durations and figures."""

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from airtable_sync.status import words

register = template.Library()
register.filter("lasting", words.lasting)
register.filter("short", words.short)
register.filter("size", words.size)
register.filter("share", words.share)


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
        words.ago(when, now),
    )


@register.filter
def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


@register.filter
def ms(value: int) -> float:
    """Milliseconds as seconds."""
    return value / 1000


@register.filter
def duration(run: object) -> str:
    """Of a run."""
    started, ended = getattr(run, "started_at", None), getattr(run, "ended_at", None)
    if not started or not ended:
        return "–"
    span: timedelta = ended - started
    return words.short(span.total_seconds())
