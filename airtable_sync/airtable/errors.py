"""What can go wrong at Airtable, each kind with one decision: wait, try again, begin again, stop
for this month, or tell a person. https://airtable.com/developers/web/api/errors"""

from typing import Any

import requests


class AirtableError(Exception):
    """Airtable refuses, and will until a person changes something: token, base, field."""


class NotFound(AirtableError):
    """There is no such thing."""


class AccessDenied(AirtableError):
    """The token is not known, or may not see this."""


class WebhooksDenied(AirtableError):
    """The token is good, but may not follow the base's changes: it lacks the scope webhook:manage,
    or its owner the role of a creator."""


class Unavailable(AirtableError):
    """Nothing usable came back: worth another try."""


class RateLimited(AirtableError):
    """Five requests a second were exceeded: Airtable answers nothing for some 30 seconds."""


class QuotaExceeded(AirtableError):
    """The plan's calls of this month are used up: waiting does not help before the month ends."""


class LocallyRateLimited(RateLimited):
    """The same, known without asking: by our own budget, or from what Airtable said before."""


class LocallyKnownQuotaExceeded(QuotaExceeded):
    """The same, known without asking."""


class IteratorLost(AirtableError):
    """Airtable forgot the place in a list of records: read the list from its beginning."""


# What ends by itself, and soon; and what does not need a person, though it may take until the month
# turns. Neither says anything about the base.
OUTAGES = (Unavailable, RateLimited, IteratorLost)
PASSING = (*OUTAGES, QuotaExceeded)


def translate_error(error: Exception) -> AirtableError:
    """The error behind one of requests', by status and by the three shapes of error bodies."""
    response = None if isinstance(error, requests.Timeout) else getattr(error, "response", None)
    if not isinstance(response, requests.Response) or response.ok:
        return Unavailable(_sentence_without_answer(error))
    kind, message = _kind_and_message(response)
    sentence = f"Airtable answered {response.status_code} {kind}{': ' if message else ''}{message}"
    is_of_feed = "/webhooks" in response.url
    return _class_of(response.status_code, kind, is_of_feed=is_of_feed)(sentence.strip())


def _class_of(status: int, kind: str, *, is_of_feed: bool) -> type[AirtableError]:
    if kind == "PUBLIC_API_BILLING_LIMIT_EXCEEDED":
        return QuotaExceeded
    if status == 429:
        return RateLimited
    if kind in ("LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"):
        return IteratorLost
    if status == 404:
        return NotFound
    if status == 403 and is_of_feed:
        return WebhooksDenied
    if status in (401, 403):
        return AccessDenied
    return Unavailable if status >= 500 or status == 408 else AirtableError


def _kind_and_message(response: requests.Response) -> tuple[str, str]:
    try:
        body = response.json()
    except ValueError:
        return "", ""  # HTML from an edge server
    if not isinstance(body, dict):
        return "", ""
    error: Any = body.get("error")
    errors = body.get("errors")
    if isinstance(errors, list) and errors:
        error = errors[0]
    if isinstance(error, dict):
        kind = error.get("type") or error.get("error") or ""
        return str(kind)[:100], str(error.get("message") or "")[:300]
    return str(error or "")[:100], ""


def _sentence_without_answer(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "Airtable did not answer in time."
    if isinstance(error, requests.ConnectionError):
        return "Airtable can't be reached."
    return "Airtable's answer was cut off or is no JSON."
