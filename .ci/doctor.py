"""`make doctor`: says what this machine lacks, with the command that brings it. It runs without the
packages of Siftly, on Python 3.7 or newer. Exits with 1 if `make run` lacks something."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_GLIBC = (2, 28)
BROWSERS = ("chromium-headless-shell", "chromium")


def main() -> int:
    needed = [_python(), _venv(), _system(), _installed(), _port()]
    useful = [
        _program("git", "the tests of upgrades, and of files that must not be committed", "git"),
        _program("curl", "some commands of the documentation", "curl"),
        _program(BROWSERS, "the browser tests", "chromium-headless-shell"),
        _program("npm", "one test, with Airtable's own client", "nodejs npm"),
        _program("nginx", "the tests behind a proxy", "nginx"),
    ]
    print("Needed for `make run`:")
    missing = _print_all(needed)
    print("\nUseful for `make test` and `make docs`. Tests that lack a program are skipped:")
    _print_all(useful)
    return 1 if missing else 0


def _print_all(results: list[tuple[bool, str]]) -> int:
    for is_good, sentence in results:
        print(f"  {'ok     ' if is_good else 'MISSING'}  {sentence}")
    return sum(not is_good for is_good, _ in results)


def _python() -> tuple[bool, str]:
    found = platform.python_version()
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return True, f"Python {found}"
    return False, f"Python 3.11 or newer; this is {found}. Use another: make PYTHON=python3.12 …"


def _venv() -> tuple[bool, str]:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return True, "the module venv"
    return False, "the module venv. Debian: apt-get install python3-venv"


def _system() -> tuple[bool, str]:
    system, machine = platform.system(), platform.machine()
    if system == "Darwin":
        return machine == "arm64", f"macOS on ARM; this is {machine}"
    if system != "Linux":
        return False, f"Linux or macOS; this is {system}. Windows: use WSL"
    name, version = platform.libc_ver()
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return (
        name == "glibc" and parts >= OLDEST_GLIBC,
        f"Linux with glibc 2.28 or newer; this is {name or 'another C library'} {version}",
    )


def _installed() -> tuple[bool, str]:
    folder = sys.argv[1] if len(sys.argv) > 1 else ".venv"
    if Path(folder, "installed").exists():
        return True, f"the packages, in {folder}"
    return True, f"the packages will be installed into {folder}, in about a minute"


def _port() -> tuple[bool, str]:
    port = os.environ.get("PORT") or "8000"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except (OSError, ValueError, OverflowError):
            return False, f"port {port} can't be used. Take another: PORT=8001 make run"
    return True, f"port {port} is free"


def _program(names: str | tuple[str, ...], purpose: str, package: str) -> tuple[bool, str]:
    all_names = (names,) if isinstance(names, str) else names
    if any(shutil.which(name) for name in all_names):
        return True, f"{all_names[0]}, for {purpose}"
    return False, f"{all_names[0]}, for {purpose}. Debian: apt-get install {package}"


if __name__ == "__main__":
    sys.exit(main())
