"""`make soak` finds wrong answers, and leaves no process or file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak.expected_values import (
    CHANGE_SECONDS,
    SETTLE_SECONDS,
    CellHistory,
    FaultPeriods,
    is_flat,
)
from tests.support.servers.server import ROOT
from tests.support.waiting import wait_until


class TestExpectedValues:
    def history(self) -> CellHistory:
        history = CellHistory([0.0], ["a"])
        history.set("b", 100.0)
        history.set("c", 200.0)
        return history

    @pytest.mark.parametrize(
        ("earliest", "latest", "values"),
        [
            (10, 20, "a"),
            (95, 99, "a"),
            (95, 100, "ab"),
            (100, 150, "b"),
            (99, 201, "abc"),
            (300, 400, "c"),
        ],
    )
    def test_the_values_of_a_cell_between_two_moments(
        self, earliest: float, latest: float, values: str
    ) -> None:
        history = self.history()
        assert {each for each in "abc" if history.had(each, earliest, latest)} == set(values)

    def test_without_faults_only_the_change_feeds_time_is_allowed(self) -> None:
        periods = FaultPeriods()
        assert periods.allowed_age(100.0) == CHANGE_SECONDS
        periods.begin(200.0)
        periods.end(210.0)
        assert periods.allowed_age(199.0) == CHANGE_SECONDS
        assert periods.allowed_age(211.0 + SETTLE_SECONDS) == CHANGE_SECONDS

    def test_during_faults_the_time_since_they_began_is_allowed_too(self) -> None:
        periods = FaultPeriods()
        periods.begin(200.0)
        assert periods.allowed_age(250.0) == 50.0 + CHANGE_SECONDS
        periods.end(260.0)
        assert periods.allowed_age(270.0) == 70.0 + CHANGE_SECONDS
        periods.begin(260.0 + SETTLE_SECONDS - 1)
        assert periods.allowed_age(300.0) == 100.0 + CHANGE_SECONDS

    def test_memory_that_grows_is_not_flat(self) -> None:
        assert is_flat([60.0, 80.0] + [85.0] * 20)
        assert not is_flat([80.0 + each for each in range(60)])
        assert is_flat([80.0, 200.0])  # too few values


def soak(minutes: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", minutes, "--seed", "7"]
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def processes_of(folder: Path) -> list[str]:
    """The command lines of processes that use this folder for temporary files (Linux)."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = each.read_bytes().replace(b"\0", b" ").decode()
            environment = (each.parent / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command + environment:
            found.append(command)
    return found


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_soak_without_a_problem_ends_with_good(tmp_path: Path) -> None:
    running = soak("0.3", tmp_path)
    output = running.communicate(timeout=360)[0]
    assert running.returncode == 0, output
    assert output.strip().endswith("Good: no failed call, no wrong config, flat memory.")
    assert not processes_of(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ctrl_c_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    running = soak("5", tmp_path)
    # The first fault has ended: everything runs.
    wait_until(lambda: any(" SOAK " in log.read_text() for log in tmp_path.glob("*/log")), 180)
    assert len(processes_of(tmp_path)) >= 3
    running.send_signal(signal.SIGINT)
    assert "Stopped" in running.communicate(timeout=120)[0]
    assert running.returncode == 130
    wait_until(lambda: not processes_of(tmp_path))
    assert list(tmp_path.iterdir()) == []
