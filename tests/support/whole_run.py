"""A pytest plugin for the test run as a whole: it has a temporary folder of its own, and it fails
if it leaves a process or a file behind.

The first process of the run (with pytest-xdist the controller) sets RUN_FOLDER when it imports this
module, which is before the settings are loaded. All processes that it starts have this variable,
which is how they are found at the end (on Linux)."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

RUN_FOLDER = "SIFTLY_TEST_RUN"
ROOT = Path(__file__).resolve().parents[2]
ENDING_SECONDS = 15.0  # for processes that the last tests have told to end


def _create_run_folder() -> None:
    folder = tempfile.mkdtemp(prefix="siftly-tests-")
    Path(folder).chmod(0o711)  # root's tests run PostgreSQL as another user
    os.environ[RUN_FOLDER] = os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # TMPDIR is read again
    # Some machines switch the cache of compiled modules off. It saves each worker several seconds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def run_folder() -> Path:
    """A folder for what all processes of this test run share."""
    return Path(os.environ[RUN_FOLDER])


def pytest_configure(config: pytest.Config) -> None:
    if IS_FIRST_PROCESS:
        config.pluginmanager.register(Leftovers(run_folder()))


class Leftovers:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files_before = _files_in_checkout()
        self._found: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._found = [f"the process {each}" for each in _remaining_processes(self._folder)]
        self._found += sorted(
            f"the file {each}" for each in _files_in_checkout() - self._files_before
        )
        if session.exitstatus != pytest.ExitCode.OK:
            return  # a failed test's files are needed, and it may have left a process
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        seed = terminalreporter.config.getoption("randomly_seed", None)
        terminalreporter.ensure_newline()
        terminalreporter.write_line(f"The random order and values: --randomly-seed={seed}")
        for each in self._found:
            terminalreporter.write_line(f"The tests left behind {each}", red=True)
        if self._folder.exists():
            terminalreporter.write_line(f"The files of the tests are in {self._folder}")


def _files_in_checkout() -> set[str]:
    """The files that git does not track. (A developer may edit the others during a run.)"""
    command = ["git", "status", "--porcelain", "--ignored", "--untracked-files=normal"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # not a git checkout
        return set()
    names = {line[3:] for line in found.stdout.splitlines() if line.startswith(("??", "!!"))}
    return {
        name for name in names if not name.endswith(("__pycache__/", "_cache/", ".hypothesis/"))
    }


def _remaining_processes(folder: Path) -> list[str]:
    until = time.monotonic() + ENDING_SECONDS
    while (found := _processes_of(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _processes_of(folder: Path) -> list[str]:
    """The process ids and command lines of the processes of this test run, without this one."""
    variable = f"{RUN_FOLDER}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name != str(os.getpid()) and variable in _words(process / "environ"):
                command = b" ".join(_words(process / "cmdline")).decode(errors="replace")
                if command:  # empty for a process that has ended
                    found.append(f"{process.name}: {command}")
        except OSError:  # it has ended
            continue
    return found


def _words(file: Path) -> list[bytes]:
    return file.read_bytes().strip(b"\0").split(b"\0")


sys.dont_write_bytecode = False
# Not a worker of pytest-xdist, and not a test run inside a test.
IS_FIRST_PROCESS = RUN_FOLDER not in os.environ
if IS_FIRST_PROCESS:
    _create_run_folder()
