"""Airtable's errors. Each class stands for one decision: wait, retry, start again, stop for this
month, or ask a person. https://airtable.com/developers/web/api/errors"""

from typing import Any

import requests

from airtable_sync.airtable.retry_after import retry_after_seconds


class AirtableError(Exception):
    """Airtable refuses until a person changes something: token, base, field."""

    retry_after: float | None = None  # seconds, if Airtable says so


class NotFound(AirtableError):
    """The thing does not exist."""


class InvalidFilter(AirtableError):
    """The mapping's filter is no formula that fits the table."""


class AccessDenied(AirtableError):
    """The token is unknown, or may not see this."""


class WebhooksDenied(AirtableError):
    """The token is valid but may not use webhooks: it lacks the scope webhook:manage, or its owner
    is not a creator of the base."""


class Unavailable(AirtableError):
    """No usable response: worth a retry."""


class RateLimited(AirtableError):
    """More than five requests a second: Airtable rejects everything for about 30 seconds."""


class QuotaExceeded(AirtableError):
    """The plan's API calls of this month are used up."""


class LocallyUnavailable(Unavailable):
    """Known without a request: Airtable said how long it would be unavailable."""


class LocallyRateLimited(RateLimited):
    """Known without a request: from our rate limiter, or from an earlier response."""


class LocallyKnownQuotaExceeded(QuotaExceeded):
    """Known without a request."""


class IteratorLost(AirtableError):
    """Airtable lost the position in a list of records: read the list from its start."""


# They end by themselves, and soon.
OUTAGES = (Unavailable, RateLimited, IteratorLost)
# They need no person, though the quota may take until the end of the month.
TEMPORARY = (*OUTAGES, QuotaExceeded)


def translate_error(error: Exception) -> AirtableError:
    """The error behind one of requests', by its status and the three shapes of error bodies."""
    response = None if isinstance(error, requests.Timeout) else getattr(error, "response", None)
    if not isinstance(response, requests.Response) or response.ok:
        return Unavailable(_message_without_response(error))
    kind, message = _kind_and_message(response)
    text = f"Airtable answered {response.status_code} {kind}{': ' if message else ''}{message}"
    is_webhooks = "/webhooks" in response.url
    translated = _error_class(response.status_code, kind, is_webhooks=is_webhooks)(text.strip())
    if isinstance(translated, OUTAGES):
        translated.retry_after = retry_after_seconds(response.headers.get("Retry-After"))
    return translated


def _error_class(status: int, kind: str, *, is_webhooks: bool) -> type[AirtableError]:
    if kind == "PUBLIC_API_BILLING_LIMIT_EXCEEDED":
        return QuotaExceeded
    if status == 429:
        return RateLimited
    if kind in ("LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"):
        return IteratorLost
    if kind == "INVALID_FILTER_BY_FORMULA":
        return InvalidFilter
    if status == 404:
        return NotFound
    if status == 403 and is_webhooks:
        return WebhooksDenied
    if status in (401, 403):
        return AccessDenied
    return Unavailable if status >= 500 or status == 408 else AirtableError


def _kind_and_message(response: requests.Response) -> tuple[str, str]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return "", ""  # HTML from an edge server
    if not isinstance(body, dict):
        return "", ""
    error: Any = body.get("error")
    errors = body.get("errors")
    if isinstance(errors, list) and errors:
        error = errors[0]
    if isinstance(error, dict):
        kind = error.get("type") or error.get("error") or ""
        return _text(kind)[:100], _text(error.get("message"))[:300]
    return _text(error)[:100], ""


def _text(value: Any) -> str:
    """ "" for everything else: `str` of a deeply nested value raises RecursionError."""
    return value if isinstance(value, str) else ""


def _message_without_response(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "Airtable did not answer in time."
    if isinstance(error, requests.ConnectionError):
        return "Airtable can't be reached."
    return "Airtable's response was cut off or is not JSON."
