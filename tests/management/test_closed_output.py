"""The reader of a command's output ends before the command: `manage.py check_cache | head`."""

import os
import subprocess
import sys

import pytest

from tests.support.servers.server import ROOT


@pytest.mark.slow
def test_it_ends_without_a_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    env = {
        "PATH": os.environ["PATH"],
        "TMPDIR": os.environ["TMPDIR"],
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "tests",
    }
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", "help"],
            cwd=ROOT,
            env=env,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
