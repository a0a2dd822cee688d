"""Who has started a command: a person at a terminal, a cron daemon, or neither."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.servers.server import ROOT

CODE = "from airtable_sync.management.started_by import *; print(has_terminal(), is_below_cron())"


def found_by(*command: str, stdin: int = subprocess.DEVNULL) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, stdin=stdin, check=True
    )
    return done.stdout.strip()


def test_cron_is_a_parent_process_and_a_person_has_a_terminal(tmp_path: Path) -> None:
    """The daemon here is a shell with a daemon's name."""
    shell = shutil.which("bash")
    assert shell
    daemon = tmp_path / "crond"
    shutil.copy(shell, daemon)
    command = f"bash -c '{sys.executable} -c \"{CODE}\"; true'; true"
    assert found_by(str(daemon), "-c", command) == "False True"
    assert found_by(shell, "-c", command) == "False False"
    controller, terminal = pty.openpty()
    try:
        assert found_by(shell, "-c", command, stdin=terminal) == "True False"
    finally:
        os.close(controller)
        os.close(terminal)
