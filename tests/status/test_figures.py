"""The figures of the status page say no more than what is known."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from airtable_sync.models import Run
from airtable_sync.monitoring.export.time_series import Point, Span, TimeSeries
from airtable_sync.monitoring.metrics.counts import Counts
from airtable_sync.status.display.charts import calls_chart
from airtable_sync.status.health.facts import Facts
from airtable_sync.templatetags.status import run_differences, run_reason
from tests.status.test_verdict import HEALTHY, NOW, database, redis, run

HOUR = timedelta(hours=1)


def with_cron(*hours_ago: float, is_paused: bool = False) -> Facts:
    starts = [NOW - each * HOUR for each in hours_ago]
    paused = run("rolled-back") if is_paused else None
    return replace(HEALTHY, database=database(cron_starts=starts, pausing_run=paused))


def test_the_next_refresh_is_an_interval_after_the_last_one_of_cron() -> None:
    assert with_cron(1).next_refresh_at == NOW + 2 * HOUR
    hourly = with_cron(0.5, 1.5, 3.5, 4.5)  # one did not start
    assert hourly.next_refresh_at == NOW + 0.5 * HOUR
    assert hourly.next_refresh_note == "by the cron job"


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        (with_cron(), "none planned: no cron job has refreshed yet"),
        (with_cron(9), "none planned: no cron job has refreshed lately"),
        (with_cron(1, is_paused=True), "publishing is paused until “Release”"),
        (replace(HEALTHY, database=None), "not known"),
    ],
    ids=["no cron", "cron ended", "paused", "no database"],
)
def test_where_none_is_planned_the_page_says_why(facts: Facts, note: str) -> None:
    assert (facts.next_refresh_at, facts.next_refresh_note) == (None, note)


def test_a_rejected_reading_is_not_what_is_published() -> None:
    rejected = run("refused", "14 numbers, 26 before")
    rejected.numbers = 14
    facts = replace(HEALTHY, redis=redis(numbers=26), database=database(runs=[rejected, run()]))
    assert (facts.published_numbers, facts.other_count_in_airtable) == (26, 14)
    assert HEALTHY.other_count_in_airtable is None


def test_a_failed_or_rejected_run_shows_its_reason_and_others_what_they_changed() -> None:
    assert run_reason(run("failed", "airtable answered 401")) == "Airtable answered 401"
    assert run_reason(run("refused", "too few " * 100)).endswith("…")
    assert run_differences(Run(status="published", added=1, removed=2)) == "1 added, 2 removed"


def test_the_chart_says_what_a_bar_is_the_mean_of() -> None:
    for span, step, unit in (
        ("hour", HOUR / 60, "minute"),
        ("week", HOUR, "minute, mean of an hour"),
    ):
        points = [Point(NOW + place * step, Counts()) for place in range(8)]
        points[3].counts.calls["retell", "memory"] = 120
        series = TimeSeries(cast("Span", span), step, points, points[3].counts)
        chart = calls_chart(series)
        assert chart.unit == f"Calls per {unit}"
        assert chart.unit in chart.title
        most = "120.0" if span == "hour" else "2.0"
        assert chart.description.endswith(f"{chart.unit}: at most {most}.")
