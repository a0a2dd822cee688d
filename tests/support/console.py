"""A process in which a test runs Python code with Django, in the environment of a server that the
test has started. Starting it once is much cheaper than a management command for each piece of code.

A browser test needs it because Playwright runs an event loop in the test's own thread, where Django
refuses to use the database."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sandbox.processes import stop
from tests.support.servers import processes
from tests.support.servers.server import environment

START_SECONDS = 60.0
CODE_SECONDS = 60.0


@dataclass(frozen=True)
class Console:
    stream: TextIO

    def run(self, code: str) -> str:
        """Returns what the code printed. Raises AssertionError if it failed."""
        self.stream.write(f"{json.dumps(code)}\n")
        self.stream.flush()
        output, error = json.loads(self.stream.readline())
        assert not error, error
        return str(output)

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run a management command. Returns its exit status and its output."""
        code = _COMMAND.format(arguments=arguments)
        status, output = json.loads(self.run(code).splitlines()[-1])
        return status, output

    def refresh(self, *arguments: str) -> dict[str, Any]:
        """Run refresh_airtable_cache. Returns its JSON, and its exit status as `exit`."""
        report: dict[str, Any] = json.loads(self.run(_REFRESH.format(arguments=arguments)))
        return report


_COMMAND = """
import json
from tests.support.commands import run
print(json.dumps(run(*{arguments!r})))
"""
_REFRESH = """
import json
from tests.support.commands import refresh
print(json.dumps(refresh(*{arguments!r})))
"""


@contextlib.contextmanager
def console(folder: Path, variables: Mapping[str, str]) -> Iterator[Console]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(START_SECONDS)
        port = str(listener.getsockname()[1])
        log = folder / "console.log"
        words = ("-m", "tests.support.console_process", port)
        process = processes.start(words, environment(**variables), log)
        try:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                raise AssertionError(f"The console does not start:\n{log.read_text()}") from None
            with connection, connection.makefile("rw", encoding="utf-8") as stream:
                connection.settimeout(CODE_SECONDS)
                yield Console(stream)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)  # its last log lines are written
        finally:
            stop(process, 15)
