"""Unknown numbers are cached for a short time, which differs a little from number to number."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.lifetimes import Lifetimes
from sandbox.airtable.server import Sandbox
from tests.support.services import services

NUMBERS = [f"+32470{index:06}" for index in range(200)]


@pytest.mark.parametrize("seconds", [1, 60, 3600])
@given(digits=st.integers(10**7, 10**14))
def test_an_unknown_number_is_fresh_for_the_set_time_plus_or_minus_a_tenth(
    seconds: int, digits: int
) -> None:
    lifetimes = Lifetimes(ttl_seconds=10_800, stale_seconds=86_400, negative_seconds=seconds)
    entry = Entry(f"+{digits}", None, read_at := 1_700_000_000_000, "lookup")
    assert lifetimes.is_fresh(entry, read_at + int(seconds * 0.9 * 1000) - 1)
    assert not lifetimes.is_fresh(entry, read_at + int(seconds * 1.1 * 1000) + 1)


def test_numbers_that_are_looked_up_together_do_not_expire_together(
    fake_redis: str, flat_airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_NEGATIVE_SECONDS = 60

    async def call_all_numbers() -> None:
        await asyncio.gather(*(services().answerer.answer(number, 9) for number in NUMBERS))

    asyncio.run(call_all_numbers())
    read_at = {services().replica.get(number).read_at for number in NUMBERS}  # type: ignore[union-attr]
    assert len(read_at) <= 3  # a few lookups read them all
    expiring = Counter(_fresh_whole_seconds(number) for number in NUMBERS)
    assert len(expiring) > 10
    assert max(expiring.values()) < len(NUMBERS) / 4
    assert 54 <= min(expiring) <= 56
    assert 64 <= max(expiring) <= 66


def _fresh_whole_seconds(number: str) -> int:
    """The first whole second after the reading when the entry is not fresh."""
    replica = services().replica
    entry = replica.get(number)
    assert entry
    return next(
        second
        for second in range(1, 120)
        if not replica.lifetimes.is_fresh(entry, entry.read_at + second * 1000)
    )


def test_after_a_minute_some_unknown_numbers_are_looked_up_again_and_some_are_not(
    fake_redis: str, flat_airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_NEGATIVE_SECONDS = 60
    store, answerer = services().call_store, services().answerer
    read_at = int((time.time() - 60) * 1000)
    entries = [Entry(number, None, read_at, "lookup") for number in NUMBERS]
    first = min(entries, key=store.lifetimes.fresh_seconds)
    last = max(entries, key=store.lifetimes.fresh_seconds)
    store.write([first, last], announce_unchanged=True)
    asyncio.run(answerer.answer(last.number, 9))
    assert not flat_airtable.requests
    asyncio.run(answerer.answer(first.number, 9))
    assert len(flat_airtable.requests) == 1
