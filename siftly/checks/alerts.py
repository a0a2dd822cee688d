"""Checks of the settings for alerts. No message holds an address: an address is a secret."""

from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import ordinal
from django.core.checks import CheckMessage, Error, Info, register

from airtable_sync.monitoring.alerts.recipient import Recipient


@register()
def alert_urls(**_: Any) -> list[CheckMessage]:
    hint = "https://appriseit.com/services/ describes the address of each service."
    return [
        Error(
            f"ALERT_URLS: the {ordinal(position)} address is malformed, or of a service that "
            "Apprise does not support.",
            hint=hint,
            id="siftly.E013",
        )
        for position, url in enumerate(settings.ALERT_URLS, start=1)
        if not _is_usable(position, url)
    ]


@register()
def plan(**_: Any) -> list[CheckMessage]:
    """Not an error: the change feed then uses the interval of the smallest paid plan, and an alert
    is sent only after the monthly quota is exceeded."""
    if settings.AIRTABLE_PLAN or not (settings.ALERT_URLS or settings.AIRTABLE_CHANGES != "off"):
        return []
    sentence = (
        "AIRTABLE_PLAN is not set: no alert is sent before the monthly quota is exceeded, and the "
        "change feed is read as often as the team plan allows."
    )
    return [Info(sentence, hint="free, team or business.", id="siftly.I001")]


def _is_usable(position: int, url: str) -> bool:
    try:
        Recipient(position, url)
    except ValueError:
        return False
    return True
