"""The header Retry-After, in seconds or as a date:
https://www.rfc-editor.org/rfc/rfc9110#name-retry-after"""

import time
from email.utils import parsedate_to_datetime

MAX_SECONDS = 60.0  # at most: during this time no call is answered from Airtable


def retry_after_seconds(header: str | None) -> float | None:
    """None without a valid header."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), MAX_SECONDS)
    try:
        return max(0.0, min(parsedate_to_datetime(text).timestamp() - time.time(), MAX_SECONDS))
    except (ValueError, TypeError, OverflowError):
        return None
