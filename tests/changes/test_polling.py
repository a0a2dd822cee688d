"""How often the change feed is read: as often as the month's requests allow."""

from datetime import UTC, datetime
from typing import Any

import pytest

from airtable_sync.airtable import rate_limiter
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.changes import polling

pytestmark = pytest.mark.usefixtures("fake_redis")

BEGIN, MIDDLE = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=UTC)
HALF_A_MONTH = 15 * 86400


@pytest.fixture(autouse=True)
def polled(settings: Any) -> None:
    settings.AIRTABLE_CHANGES, settings.AIRTABLE_POLL_SECONDS = "poll", 0
    settings.AIRTABLE_PLAN = "team"


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime, used: int = 0) -> float:
    """The interval then, when so many of the month's requests are used."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return moment

    monkeypatch.setattr(polling, "datetime", Clock)
    CALLS.remember(rate_limiter.month_name(moment), used)
    return polling.poll_seconds()


@pytest.mark.parametrize(
    ("plan", "changes", "seconds"),
    [
        ("free", "push", 86.4 * 60),
        ("free", "poll", 86.4 * 60),
        ("team", "push", 300),
        ("team", "poll", 51.84),
        ("business", "push", 300),
        ("business", "poll", 2),
    ],
)
def test_half_of_what_is_left_is_for_the_feed(
    monkeypatch: pytest.MonkeyPatch, settings: Any, plan: str, changes: str, seconds: float
) -> None:
    """As docs/changes.md has it."""
    settings.AIRTABLE_PLAN, settings.AIRTABLE_CHANGES = plan, changes
    assert at(monkeypatch, BEGIN) == pytest.approx(seconds)


def test_what_others_use_makes_it_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at(monkeypatch, MIDDLE, 0) == pytest.approx(HALF_A_MONTH / 50_000)
    assert at(monkeypatch, MIDDLE, 80_000) == pytest.approx(HALF_A_MONTH / 10_000)


@pytest.mark.parametrize("used", [99_999, 100_000, 200_000])
def test_a_month_that_is_used_up_does_not_stop_it(
    monkeypatch: pytest.MonkeyPatch, used: int
) -> None:
    assert at(monkeypatch, MIDDLE, used) == polling.SLOWEST_SECONDS


def test_never_more_often_than_makes_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    last_minutes = datetime(2026, 6, 30, 23, 55, tzinfo=UTC)
    assert at(monkeypatch, last_minutes) == polling.FASTEST_SECONDS


def test_an_interval_that_is_set_holds(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.AIRTABLE_POLL_SECONDS = 7
    assert at(monkeypatch, MIDDLE, 100_000) == 7
