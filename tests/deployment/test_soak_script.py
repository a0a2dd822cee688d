"""`make soak` judges rightly, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.truth import FEED_SECONDS, SETTLE_SECONDS, Troubles, Values, is_flat
from tests.support.server import ROOT


class TestTruth:
    def values(self) -> Values:
        found = Values([0.0], ["a"])
        found.set("b", 100.0)
        found.set("c", 200.0)
        return found

    @pytest.mark.parametrize(
        ("earliest", "latest", "right"),
        [
            (10, 20, "a"),
            (95, 99, "a"),
            (95, 100, "ab"),
            (100, 150, "b"),
            (99, 201, "abc"),
            (300, 400, "c"),
        ],
    )
    def test_what_a_cell_was(self, earliest: float, latest: float, right: str) -> None:
        values = self.values()
        assert {each for each in "abc" if values.was(each, earliest, latest)} == set(right)

    def test_in_good_weather_only_the_feeds_time_is_allowed(self) -> None:
        troubles = Troubles()
        assert troubles.allowed_lag(100.0) == FEED_SECONDS
        troubles.begin(200.0)
        troubles.end(210.0)
        assert troubles.allowed_lag(199.0) == FEED_SECONDS
        assert troubles.allowed_lag(211.0 + SETTLE_SECONDS) == FEED_SECONDS

    def test_in_bad_weather_all_that_passed_since_the_good(self) -> None:
        troubles = Troubles()
        troubles.begin(200.0)
        assert troubles.allowed_lag(250.0) == 50.0 + FEED_SECONDS
        troubles.end(260.0)
        assert troubles.allowed_lag(270.0) == 70.0 + FEED_SECONDS
        troubles.begin(260.0 + SETTLE_SECONDS - 1)
        assert troubles.allowed_lag(300.0) == 100.0 + FEED_SECONDS

    def test_memory_that_grows_is_not_flat(self) -> None:
        assert is_flat([60.0, 80.0] + [85.0] * 20)
        assert not is_flat([80.0 + each for each in range(60)])
        assert is_flat([80.0, 200.0])  # too few to say


def soak(minutes: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", minutes, "--seed", "7"]
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def of_this_soak(folder: Path) -> list[str]:
    """Processes that were started with its folder for temporary files (Linux)."""
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
@pytest.mark.timeout(400)
def test_it_ends_with_a_verdict(tmp_path: Path) -> None:
    running = soak("0.3", tmp_path)
    output = running.communicate(timeout=360)[0]
    assert running.returncode == 0, output
    assert output.strip().endswith("Good: no failed call, no wrong config, flat memory.")
    assert not of_this_soak(tmp_path)


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    running = soak("5", tmp_path)
    assert running.stdout
    for line in running.stdout:
        if " min " in line:
            break
    assert len(of_this_soak(tmp_path)) >= 3
    running.send_signal(signal.SIGINT)
    assert "Stopped" in running.communicate(timeout=60)[0]
    assert running.returncode == 130
    time.sleep(0.5)
    assert not of_this_soak(tmp_path)
    assert list(tmp_path.iterdir()) == []
