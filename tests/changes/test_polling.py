"""How often the change feed is read: as often as the monthly quota allows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from airtable_sync.airtable.limits.monthly_usage import monthly_usage, usage_key, utc_now
from airtable_sync.changes import polling
from airtable_sync.changes.polling import Polling
from tests.support.services import services

BEGIN, MIDDLE = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=UTC)
HALF_A_MONTH = 15 * 86400


def interval_at(
    moment: datetime,
    used: int = 0,
    *,
    plan: str = "team",
    changes: str = "poll",
    fixed_seconds: float = 0,
) -> float:
    """The interval at this moment, after so many requests this month."""
    return Polling(
        changes, plan, fixed_seconds, lambda: monthly_usage(used, moment), lambda: moment
    ).interval_seconds()


@pytest.mark.parametrize(
    ("plan", "changes", "seconds"),
    [
        ("free", "push", 86.4 * 60),
        ("free", "poll", 86.4 * 60),
        ("team", "push", 900),
        ("team", "poll", 51.84),
        ("business", "push", 900),
        ("business", "poll", 2),
    ],
)
def test_the_feed_takes_half_of_the_remaining_quota(
    plan: str, changes: str, seconds: float
) -> None:
    """The numbers of docs/guides/change-feed.md."""
    assert interval_at(BEGIN, plan=plan, changes=changes) == pytest.approx(seconds)


def test_other_requests_make_the_interval_longer() -> None:
    assert interval_at(MIDDLE, 0) == pytest.approx(HALF_A_MONTH / 50_000)
    assert interval_at(MIDDLE, 80_000) == pytest.approx(HALF_A_MONTH / 10_000)


@pytest.mark.parametrize("used", [99_999, 100_000, 200_000])
def test_a_used_up_quota_does_not_stop_polling(used: int) -> None:
    assert interval_at(MIDDLE, used) == polling.MAX_SECONDS


def test_the_interval_has_a_minimum() -> None:
    last_minutes = datetime(2026, 6, 30, 23, 55, tzinfo=UTC)
    assert interval_at(last_minutes) == polling.MIN_SECONDS


def test_a_fixed_interval_does_not_depend_on_the_quota() -> None:
    assert interval_at(MIDDLE, 100_000, fixed_seconds=7) == 7


def test_the_interval_follows_the_settings_and_the_count_in_redis(
    fake_redis: str, settings: Any
) -> None:
    settings.AIRTABLE_CHANGES, settings.AIRTABLE_PLAN = "poll", "free"
    settings.AIRTABLE_POLL_SECONDS = 0
    before = services().polling.interval_seconds()
    services().call_store.set(usage_key(utc_now()), 999)
    assert before < services().polling.interval_seconds()
    settings.AIRTABLE_POLL_SECONDS = 7
    assert services().polling.interval_seconds() == 7
