"""What would keep Siftly from telling anybody of trouble. No message holds a value."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register  # noqa: A004
from django.core.exceptions import ValidationError
from django.core.validators import validate_email


@register()
def mail_server(**_: Any) -> list[CheckMessage]:
    if not settings.ALERT_EMAIL or os.environ.get("EMAIL_URL"):
        return []
    sentence = (
        "ALERT_EMAIL is set, and EMAIL_URL is not: alerts are handed to this machine's port 25."
    )
    return [Warning(sentence, hint="submission://user:…@host", id="siftly.W014")]


@register()
def email_addresses(**_: Any) -> list[CheckMessage]:
    if all(_is_address(each) for each in settings.ALERT_EMAIL):
        return []
    sentence = "ALERT_EMAIL holds what is no e-mail address: nobody would be told of trouble."
    return [Error(sentence, hint="you@example.com, separated by commas.", id="siftly.E013")]


@register()
def plan(**_: Any) -> list[CheckMessage]:
    """No fault: whoever has no plan in mind gets Airtable's smallest paid one for the feed's pace,
    and no alert before the month's requests are used up."""
    told = settings.ALERT_EMAIL or settings.ALERT_WEBHOOK_URL
    if settings.AIRTABLE_PLAN or not (told or settings.AIRTABLE_CHANGES != "off"):
        return []
    sentence = (
        "AIRTABLE_PLAN is not set: nobody can tell when the month's requests will not last, and "
        "the change feed is read as often as the team plan affords."
    )
    return [Info(sentence, hint="free, team or business.", id="siftly.I001")]


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
