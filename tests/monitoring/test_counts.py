"""What is counted in memory, and that it can be written down and added up."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.monitoring.metrics import counters
from airtable_sync.monitoring.metrics.counts import Counts, add_to, difference, of_tally
from airtable_sync.monitoring.metrics.histogram import LATENCY, Histogram

SECONDS = st.floats(0.0001, 9.9)


def test_the_buckets_of_a_latency_go_from_a_tenth_of_a_millisecond_to_ten_seconds() -> None:
    assert (LATENCY[0], LATENCY[-1]) == (0.0001, 10.0)
    assert list(LATENCY) == sorted(set(LATENCY))
    assert all(upper / lower < 1.7 for lower, upper in itertools.pairwise(LATENCY))


@given(st.lists(SECONDS, min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_value_it_stands_for(
    values: list[float], share: float
) -> None:
    histogram = Histogram(LATENCY)
    for value in values:
        histogram.observe(value)
    rank = max(1, -(-share * len(values) // 1))
    true = sorted(values)[int(rank) - 1]
    found = histogram.quantile(share)
    assert found is not None
    upper = next(bound for bound in LATENCY if true <= bound)
    lower = max([0.0, *(bound for bound in LATENCY if bound < true)])
    assert lower - 1e-9 <= found <= upper + 1e-9


def test_without_values_there_is_no_quantile() -> None:
    assert Histogram(LATENCY).quantile(0.5) is None
    assert Histogram(LATENCY).mean() is None


def test_what_is_above_the_last_bound_counts_as_the_last_bound() -> None:
    histogram = Histogram(LATENCY)
    histogram.observe(99)
    assert histogram.quantile(0.5) == 10.0


def count_something() -> None:
    counters.answered("retell", "memory", 0.0002, {})
    counters.answered("retell", "redis", 0.003, {"redis": 0.002})
    counters.answered("vapi", "default", 4.0, {"redis": 0.001, "airtable": 3.9})
    counters.failed("airtable")
    counters.happened("airtable_requests")
    counters.budget_waited(0.5)
    counters.served(12.5)
    counters.edit_propagated(1.25)
    counters.run_ended("published", 3.5)


def test_a_tally_says_all_that_was_counted() -> None:
    count_something()
    counts = of_tally(counters.counts.tally())
    assert counts.tally() == counters.counts.tally()
    assert counts.by_source == {"memory": 1, "redis": 1, "default": 1}
    assert counts.share_from_cache == pytest.approx(2 / 3)
    assert counts.latency["default"].count == 1
    assert counts.latency["default"].total == pytest.approx(4.0)
    assert (counts.asked["redis"], counts.failed["airtable"]) == (2, 1)
    assert counts.tier_seconds["airtable"] == pytest.approx(3.9)
    assert counts.events == {"airtable_requests": 1, "budget_waits": 1}
    assert (counts.age.total, counts.propagation.total) == (12.5, 1.25)
    assert (counts.runs, counts.run_seconds) == ({"published": 1}, 3.5)
    assert counts.budget_wait_seconds == 0.5


def test_tallies_of_two_processes_add_up() -> None:
    count_something()
    tally = counters.counts.tally()
    add_to(tally, counters.counts.tally())
    assert of_tally(tally).answers["retell", "memory"] == 2
    assert of_tally(tally).latency["memory"].count == 2


def test_a_difference_holds_only_what_was_counted_since() -> None:
    count_something()
    before = counters.counts.tally()
    counters.answered("retell", "memory", 0.0002, {})
    more = difference(counters.counts.tally(), before)
    assert of_tally(more).by_source == {"memory": 1}
    assert not of_tally(more).runs


def test_names_of_another_version_are_passed_over() -> None:
    tally = {"answers|retell|memory": 1, "answers": 2, "latency|memory|999": 3, "new|thing": 4}
    assert of_tally(tally).tally() == {"answers|retell|memory": 1}


def test_no_answers_have_no_share() -> None:
    assert Counts().share_from_cache is None
