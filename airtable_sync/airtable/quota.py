"""Will the plan's requests to Airtable last until the month's end?
https://support.airtable.com/docs/managing-api-call-limits-in-airtable"""

import logging
from dataclasses import dataclass

from django.conf import settings

from airtable_sync.airtable import rate_limiter
from airtable_sync.cache.redis_store import CacheUnavailable

logger = logging.getLogger(__name__)

CLOSE_SHARE = 0.85

# Requests a month, for all of a workspace's tools together; None: as many as one likes.
PLANS: dict[str, int | None] = {"free": 1_000, "team": 100_000, "business": None}


@dataclass(frozen=True)
class Forecast:
    """This month's requests so far, at its end at this rate, and what the plan allows (None: no
    limit, or the plan is not known)."""

    month: str
    requests: int
    at_month_end: int
    allowed: int | None

    @property
    def exceeds(self) -> bool:
        return self.allowed is not None and self.at_month_end > self.allowed

    @property
    def is_close(self) -> bool:
        """To what the plan allows. Each refresh lifts the forecast, in a young month by a tenth,
        and the hours until the next one bring it down."""
        return self.allowed is not None and self.at_month_end > CLOSE_SHARE * self.allowed

    def __str__(self) -> str:
        sentence = (
            f"Airtable requests in {self.month}: {self.requests:,}, "
            f"{self.at_month_end:,} by its end at this rate"
        )
        if self.allowed is None:
            return f"{sentence}."
        verdict = "which is more than" if self.exceeds else "of"
        return f"{sentence}, {verdict} the {self.allowed:,} of the {settings.AIRTABLE_PLAN} plan."


def current() -> Forecast:
    """Raises CacheUnavailable: the count is kept in Redis."""
    month = rate_limiter.month()
    allowed = PLANS.get(settings.AIRTABLE_PLAN or "")
    return Forecast(month.month, month.requests, month.forecast, allowed)


def tell() -> None:
    """In the log; as a warning, if the plan will not do."""
    try:
        found = current()
    except CacheUnavailable:
        return
    logger.log(logging.WARNING if found.exceeds else logging.INFO, "%s", found)
