"""The reader of a command's output ends before the command: `manage.py check_cache | head`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.server import ROOT, environment

UNREACHABLE = {
    "AIRTABLE_API_KEY": "pat",
    "AIRTABLE_BASE_ID": "app1",
    "AIRTABLE_API_URL": "http://127.0.0.1:1",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["help", "check_cache"])  # check_cache exits by itself
def test_it_ends_without_a_traceback(command: str, tmp_path: Path) -> None:
    """Also if the log lines have no reader, which Python says with the exit status 120."""
    log = tmp_path / "log"
    for has_log in (True, False):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            with log.open("wb") as file:
                done = subprocess.run(
                    [sys.executable, "manage.py", command],
                    cwd=ROOT,
                    env=environment(**UNREACHABLE),
                    stdout=writer,
                    stderr=file if has_log else writer,
                    timeout=60,
                    check=False,
                )
        finally:
            os.close(writer)
        assert done.returncode == 1
        assert "Broken" not in log.read_text()
        assert "Traceback" not in log.read_text()


@pytest.mark.slow
def test_it_works_with_an_output_that_was_closed_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "manage.py", "help"],
            cwd=ROOT,
            env=environment(**UNREACHABLE),
            stderr=file,
            timeout=60,
            check=False,
        )
    assert log.read_text() == ""
    assert done.returncode == 0
