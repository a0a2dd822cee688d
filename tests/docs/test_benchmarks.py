"""Runs a short `make bench`, which detects only a result ten times worse than its goal."""

import subprocess
import sys

import pytest

from benchmarks.results import Goal, Report
from tests.support.servers.server import ROOT


def test_only_a_result_ten_times_worse_than_its_goal_is_reported() -> None:
    report = Report()
    report.add(Goal("a rate", "a peer", at_least=2.5), [0.3, 0.3, 9.0])
    report.add(Goal("a time", "a peer", at_most=0.5), [4.9])
    assert report.far_from_goal() == []
    report.add(Goal("a rate", "a peer", at_least=2.5), [0.2, 0.2, 9.0])
    report.add(Goal("a time", "a peer", at_most=0.5), [5.1])
    assert report.far_from_goal() == [
        "a rate: 0.20 (0.20-9.00), the goal is ≥ 2.5",
        "a time: 5.10 (5.10-5.10), the goal is ≤ 0.5",
    ]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_result_is_ten_times_worse_than_its_goal() -> None:
    command = [sys.executable, "-m", "benchmarks", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
