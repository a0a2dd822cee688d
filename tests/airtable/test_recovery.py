"""Airtable is found again without a caller, at the price of next to nothing."""

import asyncio

import pytest
from interlock import CircuitOpenError

from airtable_sync.airtable import circuit_breakers
from airtable_sync.airtable.errors import Unavailable
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from siftly import health

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fake_redis")]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.3)


def open_breaker() -> None:
    for _ in range(3):
        with pytest.raises((Unavailable, CircuitOpenError)), circuit_breakers.AIRTABLE:
            raise Unavailable


def probes(airtable: Sandbox) -> int:
    return sum("/meta/" not in each.path for each in airtable.requests)


async def _for(seconds: float) -> None:
    async with health._background():
        await asyncio.sleep(seconds)


def test_an_open_breaker_closes_by_one_request_when_airtable_is_back(airtable: Sandbox) -> None:
    open_breaker()
    asyncio.run(_for(8))
    assert circuit_breakers.AIRTABLE.state.value == "closed"
    assert probes(airtable) == 1


def test_while_airtable_is_away_the_breaker_stays_open(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=503, times=None))
    open_breaker()
    asyncio.run(_for(7))
    assert circuit_breakers.AIRTABLE.state.value != "closed"
    assert probes(airtable) == 1  # the breaker lets none through for five seconds after each


def test_while_all_is_well_nothing_is_asked(airtable: Sandbox) -> None:
    asyncio.run(_for(1))
    assert probes(airtable) == 0
