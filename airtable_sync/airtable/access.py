"""Whether Airtable lets us in, as all processes know it together."""

from contextlib import suppress

from airtable_sync.airtable.errors import AccessDenied, AirtableError
from airtable_sync.cache.redis_store import TELEMETRY, CacheUnavailable

REFUSED = "airtable_access_denied"
REMEMBERED_SECONDS = 4 * 3600  # cron asks again before

_refused_here = ""  # Airtable's word to this process, until it is let in


def note(error: AirtableError | None) -> None:
    """A request to Airtable ended; None: well."""
    global _refused_here  # noqa: PLW0603 - an experience of this process
    if isinstance(error, AccessDenied):
        _refused_here = str(error)
        with suppress(CacheUnavailable):
            TELEMETRY.remember(REFUSED, _refused_here, REMEMBERED_SECONDS)
    elif error is None and _refused_here:
        granted()


def granted() -> None:
    """It lets us in, also if another process was refused before."""
    global _refused_here  # noqa: PLW0603
    _refused_here = ""
    with suppress(CacheUnavailable):
        TELEMETRY.drop(REFUSED)


def refused_here() -> str:
    """Airtable's word to this process; empty while it lets us in. What others were told is among
    `telemetry.marks`."""
    return _refused_here
