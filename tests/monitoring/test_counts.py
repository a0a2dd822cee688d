"""The counts of a process in memory, and their sums."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.monitoring.metrics.counts import (
    Counts,
    add_to,
    counts_from_tally,
    difference,
)
from airtable_sync.monitoring.metrics.histogram import FEW, LATENCY, Histogram

SECONDS = st.floats(0.0001, 9.9)


def test_the_latency_buckets_go_from_a_tenth_of_a_millisecond_to_ten_seconds() -> None:
    assert (LATENCY[0], LATENCY[-1]) == (0.0001, 10.0)
    assert list(LATENCY) == sorted(set(LATENCY))
    assert all(upper / lower < 1.7 for lower, upper in itertools.pairwise(LATENCY))


@given(st.lists(SECONDS, min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_exact_value(values: list[float], share: float) -> None:
    histogram = Histogram(LATENCY)
    for value in values:
        histogram.observe(value)
    rank = max(1, -(-share * len(values) // 1))
    exact = sorted(values)[int(rank) - 1]
    found = histogram.quantile(share)
    assert found is not None
    upper = next(bound for bound in LATENCY if exact <= bound)
    lower = max([0.0, *(bound for bound in LATENCY if bound < exact)])
    assert lower - 1e-9 <= found <= upper + 1e-9


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_quantile_of_few_values_is_one_of_them_and_of_none_there_is_none(share: float) -> None:
    histogram = Histogram(LATENCY)
    assert histogram.quantile(share) is None
    histogram.observe(0.85)
    assert histogram.quantile(share) == 0.85
    for _ in range(8):
        histogram.observe(0.2)
    assert histogram.quantile(share) == (0.2 if share == 0.5 else 0.85)


@given(st.lists(SECONDS, min_size=FEW + 1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_of_many_values_is_not_above_the_largest(
    values: list[float], share: float
) -> None:
    histogram = Histogram(LATENCY)
    for value in values:
        histogram.observe(value)
    found = histogram.quantile(share)
    assert found is not None
    assert found <= max(values)


def test_a_value_above_the_last_bound_counts_as_the_last_bound() -> None:
    histogram = Histogram(LATENCY)
    for _ in range(FEW + 1):
        histogram.observe(99)
    assert histogram.quantile(0.5) == 10.0


@pytest.fixture
def counters() -> Counters:
    """They have counted one or more of everything."""
    counters = Counters()
    counters.call_answered("retell", "memory", 0.0002, {})
    counters.call_answered("retell", "redis", 0.003, {"redis": 0.002})
    counters.call_answered("vapi", "default", 4.0, {"redis": 0.001, "airtable": 3.9})
    counters.tier_failed("airtable")
    counters.airtable_requested()
    counters.rate_limiter_waited(0.5)
    counters.entry_served(12.5)
    counters.edit_propagated(1.25)
    counters.run_ended("published", 3.5)
    return counters


def test_a_tally_has_everything_that_was_counted(counters: Counters) -> None:
    counts = counts_from_tally(counters.counts.tally())
    assert counts.tally() == counters.counts.tally()
    assert counts.calls_by_source == {"memory": 1, "redis": 1, "default": 1}
    assert counts.cache_share == pytest.approx(2 / 3)
    assert counts.latency["default"].count == 1
    assert counts.latency["default"].total == pytest.approx(4.0)
    assert (counts.tier_requests["redis"], counts.tier_failures["airtable"]) == (2, 1)
    assert counts.tier_seconds["airtable"] == pytest.approx(3.9)
    assert counts.events == {"airtable_requests": 1, "rate_limiter_waits": 1}
    assert (counts.age.total, counts.propagation.total) == (12.5, 1.25)
    assert (counts.runs, counts.run_seconds) == ({"published": 1}, 3.5)
    assert counts.rate_limiter_wait_seconds == 0.5


def test_tallies_of_two_processes_add_up(counters: Counters) -> None:
    tally = counters.counts.tally()
    add_to(tally, counters.counts.tally())
    assert counts_from_tally(tally).calls["retell", "memory"] == 2
    assert counts_from_tally(tally).latency["memory"].count == 2


def test_a_difference_has_only_what_was_counted_since(counters: Counters) -> None:
    before = counters.counts.tally()
    counters.call_answered("retell", "memory", 0.0002, {})
    more = difference(counters.counts.tally(), before)
    assert counts_from_tally(more).calls_by_source == {"memory": 1}
    assert not counts_from_tally(more).runs


def test_names_of_another_version_are_ignored() -> None:
    tally = {"calls|retell|memory": 1, "calls": 2, "latency|memory|999": 3, "new|thing": 4}
    assert counts_from_tally(tally).tally() == {"calls|retell|memory": 1}


def test_without_calls_there_is_no_cache_share() -> None:
    assert Counts().cache_share is None
