"""Unknown numbers are remembered for a while, and not all for the same."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup.answerer import answer
from sandbox.airtable.server import Sandbox

NUMBERS = [f"+32470{index:06}" for index in range(200)]


@pytest.mark.parametrize("seconds", [1, 60, 3600])
@given(digits=st.integers(10**7, 10**14))
def test_a_number_is_remembered_for_as_long_as_set_by_a_tenth_more_or_less(
    seconds: int, digits: int
) -> None:
    from django.test import override_settings

    with override_settings(CACHE_NEGATIVE_SECONDS=seconds):
        entry = Entry(f"+{digits}", None, read_at := 1_700_000_000_000, "lookup")
        assert entry.is_fresh(read_at + int(seconds * 0.9 * 1000) - 1)
        assert not entry.is_fresh(read_at + int(seconds * 1.1 * 1000) + 1)


def test_numbers_asked_for_at_one_moment_do_not_expire_at_one_moment(
    fake_redis: str, flat_airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_NEGATIVE_SECONDS = 60

    async def all_at_once() -> None:
        await asyncio.gather(*(answer(number, 9) for number in NUMBERS))

    asyncio.run(all_at_once())
    read_at = {of_this_process().get(number).read_at for number in NUMBERS}  # type: ignore[union-attr]
    assert len(read_at) <= 3  # a few lookups brought them all
    expiring = Counter(_expires_after(number) for number in NUMBERS)
    assert len(expiring) > 10
    assert max(expiring.values()) < len(NUMBERS) / 4
    assert 54 <= min(expiring) <= 56
    assert 64 <= max(expiring) <= 66


def _expires_after(number: str) -> int:
    """In how many whole seconds after it was asked for."""
    entry = of_this_process().get(number)
    assert entry
    return next(
        second for second in range(1, 120) if not entry.is_fresh(entry.read_at + second * 1000)
    )


def test_after_a_minute_some_are_asked_for_again_and_some_are_not(
    fake_redis: str, flat_airtable: Sandbox, settings: Any
) -> None:
    settings.CACHE_NEGATIVE_SECONDS = 60
    read_at = int((time.time() - 60) * 1000)
    entries = [Entry(number, None, read_at, "lookup") for number in NUMBERS]
    first = min(entries, key=lambda each: each.fresh_seconds)
    last = max(entries, key=lambda each: each.fresh_seconds)
    CALLS.write([first, last], announce_unchanged=True)
    asyncio.run(answer(last.number, 9))
    assert not flat_airtable.requests
    asyncio.run(answer(first.number, 9))
    assert len(flat_airtable.requests) == 1
