"""The monthly quota: will the plan's requests last until the end of the month?
https://support.airtable.com/docs/managing-api-call-limits-in-airtable"""

import logging
from dataclasses import dataclass

from airtable_sync.airtable.limits.monthly_usage import MonthlyUsage
from airtable_sync.airtable.limits.rate_limiter import RateLimiter
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

CLOSE_SHARE = 0.85

# Requests a month, for all tools of a workspace together. None: no limit.
PLANS: dict[str, int | None] = {"free": 1_000, "team": 100_000, "business": None}


@dataclass(frozen=True)
class QuotaForecast:
    month: str
    requests: int
    at_month_end: int  # at this rate
    limit: int | None  # None: no limit, or the plan is unknown
    plan: str = ""

    @property
    def exceeds(self) -> bool:
        return self.limit is not None and self.at_month_end > self.limit

    @property
    def is_close(self) -> bool:
        """Whether the forecast is near the limit. Each refresh raises the forecast, early in a
        month by a tenth, and the hours until the next refresh lower it again."""
        return self.limit is not None and self.at_month_end > CLOSE_SHARE * self.limit

    def __str__(self) -> str:
        text = (
            f"Airtable requests in {self.month}: {self.requests:,}, "
            f"forecast for the month: {self.at_month_end:,}"
        )
        if self.limit is None:
            return f"{text}."
        comparison = "more than" if self.exceeds else "of"
        return f"{text}, {comparison} the {self.limit:,} of the {self.plan} plan."


def forecast_quota(usage: MonthlyUsage, plan: str) -> QuotaForecast:
    return QuotaForecast(usage.month, usage.requests, usage.forecast, PLANS.get(plan), plan)


def log_forecast(rate_limiter: RateLimiter, plan: str) -> None:
    """As a warning if the quota will not last."""
    try:
        forecast = forecast_quota(rate_limiter.usage(), plan)
    except CacheUnavailable:
        return
    logger.log(logging.WARNING if forecast.exceeds else logging.INFO, "%s", forecast)
