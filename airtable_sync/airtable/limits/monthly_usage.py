"""The requests to Airtable of a calendar month (UTC)."""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync.redis_client.namespace import SHARED_BY_BASE

KEPT_SECONDS = 70 * 24 * 3600


@dataclass(frozen=True, slots=True)
class MonthlyUsage:
    month: str  # "2026-11"
    requests: int
    forecast: int  # requests at the end of the month, at this rate


def monthly_usage(requests: int, now: datetime) -> MonthlyUsage:
    days = calendar.monthrange(now.year, now.month)[1]
    days_passed = max(1.0, now.day - 1 + now.hour / 24 + now.minute / 1440)
    return MonthlyUsage(f"{now:%Y-%m}", requests, round(requests * days / days_passed))


def usage_key(now: datetime) -> str:
    """The key of the month's count in Redis."""
    return f"{SHARED_BY_BASE}requests:{now:%Y-%m}"


def seconds_until_next_month(now: datetime) -> float:
    days = calendar.monthrange(now.year, now.month)[1]
    end = now.replace(day=days, hour=23, minute=59, second=59, microsecond=0)
    return (end - now).total_seconds() + 1


def utc_now() -> datetime:
    return datetime.now(UTC)
