"""Airtable takes longer for each request than a request usually may: a call waits for it as long
as its platform does. The limits are a tenth of the product's, to save time."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from airtable_sync import services as services_module
from airtable_sync.airtable.limits.request_limits import RequestLimits
from airtable_sync.lookup import single_flight
from airtable_sync.lookup.answer import Answer
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.support.services import services
from tests.support.waiting import until

pytestmark = [pytest.mark.usefixtures("fake_redis"), pytest.mark.slow]

SLOW = 1.0  # seconds a request; of the product 5
DEADLINE = 6.0  # of the product 9; generous, for a busy machine


@pytest.fixture(autouse=True)
def shorter_limits(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    limits = RequestLimits(1.0, 0.4, 0.5, (), 0.0, 0.6, is_call=True)
    monkeypatch.setattr(services_module, "CALL_LIMITS", limits)
    monkeypatch.setattr(single_flight, "SLOW_SECONDS", 0.2)


def ask(numbers: Sequence[str], deadline: float = DEADLINE) -> list[Answer]:
    async def ask_all() -> list[Answer]:
        answerer = services().answerer
        return await asyncio.gather(*(answerer.answer(each, deadline) for each in numbers))

    return asyncio.run(ask_all())


def known_numbers(airtable: Sandbox) -> list[str]:
    rows = airtable.base().table("customers")
    cells = (str(rows.values(each)["to_number"]) for each in rows.records)
    return [number for each in cells if (number := services().active_mapping.number(each))]


def test_the_first_call_is_answered_from_airtable(flat_airtable: Sandbox) -> None:
    flat_airtable.latency = SLOW
    [answer] = ask(known_numbers(flat_airtable)[:1])
    assert answer.source == "airtable"


def test_a_call_that_waits_less_gets_the_defaults_at_its_deadline(flat_airtable: Sandbox) -> None:
    flat_airtable.latency = 3 * SLOW
    started = time.monotonic()
    [answer] = ask(known_numbers(flat_airtable)[:1], deadline=0.7)
    assert answer.source == "default"
    assert time.monotonic() - started >= 0.7


def test_many_cold_numbers_at_once_are_answered_from_airtable(flat_airtable: Sandbox) -> None:
    flat_airtable.latency = SLOW
    numbers = sorted(set(known_numbers(flat_airtable)))
    unknown = [f"+324609{index:05}" for index in range(50 - len(numbers))]
    answers = ask([*numbers, *unknown])
    assert [each.source for each in answers[: len(numbers)]] == ["airtable"] * len(numbers)
    assert not any(each.is_known for each in answers[len(numbers) :])
    assert len(flat_airtable.requests) <= 2


def test_a_slow_lookup_does_not_hold_up_the_next_one(flat_airtable: Sandbox) -> None:
    first, second = known_numbers(flat_airtable)[:2]
    flat_airtable.faults.add(Fault(delay=4 * SLOW))

    async def ask_both() -> list[Answer]:
        answerer = services().answerer
        slow = asyncio.create_task(answerer.answer(first, DEADLINE))
        await until(lambda: flat_airtable.requests)
        answers = [await answerer.answer(second, DEADLINE)]
        assert not slow.done()
        return [*answers, await slow]

    assert [each.source for each in asyncio.run(ask_both())] == ["airtable", "airtable"]
