"""The circuit breaker of Airtable closes again without a call, by one small request."""

import asyncio

import pytest
from interlock import CircuitOpenError, State

from airtable_sync.airtable.errors import Unavailable
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from siftly import lifecycle
from tests.support.breakers import pass_time
from tests.support.services import services, web_services
from tests.support.waiting import until

PROBE_SECONDS = 0.05
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fake_redis")]


@pytest.fixture(autouse=True)
def short_pause_between_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PROBE_SECONDS", PROBE_SECONDS)


def open_breaker() -> None:
    for _ in range(3):
        with pytest.raises((Unavailable, CircuitOpenError)), services().airtable_circuit_breaker:
            raise Unavailable


def count_probes(airtable: Sandbox) -> int:
    return sum("/meta/" not in each.path for each in airtable.requests)


async def run_until_a_probe_ended(airtable: Sandbox) -> None:
    """The breaker allows one when it was open for five seconds. Then the background work has the
    time for several more."""
    pass_time(services().airtable_circuit_breaker, 5.1)
    async with web_services().lifecycle.running():
        await until(lambda: count_probes(airtable), 60)
        await until(lambda: services().airtable_circuit_breaker.state is not State.HALF_OPEN)
        await asyncio.sleep(10 * PROBE_SECONDS)


async def run_background_work() -> None:
    async with web_services().lifecycle.running():
        await asyncio.sleep(10 * PROBE_SECONDS)


def test_one_request_closes_an_open_breaker_when_airtable_is_back(airtable: Sandbox) -> None:
    open_breaker()
    asyncio.run(run_until_a_probe_ended(airtable))
    assert services().airtable_circuit_breaker.state is State.CLOSED
    assert count_probes(airtable) == 1


def test_the_breaker_stays_open_while_airtable_is_down(airtable: Sandbox) -> None:
    airtable.faults.add(Fault(status=503, times=None))
    open_breaker()
    asyncio.run(run_until_a_probe_ended(airtable))
    assert services().airtable_circuit_breaker.state is State.OPEN
    assert count_probes(airtable) == 1  # after each, the breaker allows none for five seconds


def test_a_closed_breaker_causes_no_request(airtable: Sandbox) -> None:
    asyncio.run(run_background_work())
    assert count_probes(airtable) == 0
