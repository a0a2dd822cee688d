"""The circuit breaker of Airtable closes again without a call, by one small request."""

import asyncio

import pytest
from interlock import CircuitOpenError

from airtable_sync.airtable.errors import Unavailable
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from siftly import lifecycle
from tests.support.services import services, web_services

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fake_redis")]


@pytest.fixture(autouse=True)
def short_pause_between_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PROBE_SECONDS", 0.3)


def open_breaker() -> None:
    for _ in range(3):
        with pytest.raises((Unavailable, CircuitOpenError)), services().airtable_circuit_breaker:
            raise Unavailable


def count_probes(airtable: Sandbox) -> int:
    return sum("/meta/" not in each.path for each in airtable.requests)


async def run_background_work(seconds: float) -> None:
    async with web_services().lifecycle.running():
        await asyncio.sleep(seconds)


def test_one_request_closes_an_open_breaker_when_airtable_is_back(airtable: Sandbox) -> None:
    open_breaker()
    asyncio.run(run_background_work(8))
    assert services().airtable_circuit_breaker.state.value == "closed"
    assert count_probes(airtable) == 1


def test_the_breaker_stays_open_while_airtable_is_down(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=503, times=None))
    open_breaker()
    asyncio.run(run_background_work(7))
    assert services().airtable_circuit_breaker.state.value != "closed"
    assert count_probes(airtable) == 1  # after each, the breaker allows none for five seconds


def test_a_closed_breaker_causes_no_request(airtable: Sandbox) -> None:
    asyncio.run(run_background_work(1))
    assert count_probes(airtable) == 0
