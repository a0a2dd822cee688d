"""What grows with the count of numbers: a refresh, a process, a hit, an edit."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks.edits import Variables
from benchmarks.environment import ROOT, environment
from benchmarks.load import Load, Measured, load_generator, measure
from benchmarks.measurements.changes import seconds_until_live
from benchmarks.measurements.processes import own_mib
from benchmarks.results import Report
from benchmarks.retell_calls import call_bytes
from benchmarks.server_process import free_port, serving
from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.large import large_flat_base, number_of
from sandbox.airtable.server import Sandbox

SIZES = (10_000, 100_000, 500_000)
CALLED = 1_000  # different numbers
CONNECTIONS = 8
EDITS = 5
REQUESTS_PER_SECOND = 5


@dataclass(frozen=True)
class Scale:
    numbers: int
    requests: int
    refresh_seconds: float
    refresh_mib: int
    refresh_cpu_seconds: float
    ready_seconds: float
    process_mib: float
    while_read: Measured  # hits while the change feed reads the base for the first time
    later: Measured
    edit_seconds: list[float]


def run(_: Report, rounds: int, seconds: float) -> None:
    """Once for each size: several rounds would take many minutes."""
    table = Table(title="One flat table, five variables for each number, one process")
    for column in (
        "numbers",
        "requests",
        "at 5/s, min",
        "refresh without limit, s",
        "its CPU, s",
        "its memory, MiB",
        "ready, s",
        "process, MiB",
        "hit p50 / p99 while the base is read, ms",
        "later, ms",
        "edit live, s (most)",
    ):
        table.add_column(column, justify="right")
    for numbers in SIZES[: 1 if rounds == 1 else None]:
        found = _measure(numbers, seconds)
        print(found, flush=True)  # the next size takes long
        table.add_row(
            f"{found.numbers:,}",
            f"{found.requests:,}",
            f"{found.requests / REQUESTS_PER_SECOND / 60:.1f}",
            f"{found.refresh_seconds:.1f}",
            f"{found.refresh_cpu_seconds:.1f}",
            f"{found.refresh_mib}",
            f"{found.ready_seconds:.1f}",
            f"{found.process_mib:.0f}",
            f"{found.while_read.p50_ms:.2f} / {found.while_read.p99_ms:.2f}",
            f"{found.later.p50_ms:.2f} / {found.later.p99_ms:.2f}",
            f"{max(found.edit_seconds):.1f}",
        )
    Console(width=150).print(table)


def _measure(numbers: int, seconds: float) -> Scale:
    base, port = large_flat_base(numbers), free_port()
    with environment(base, requests_per_second=None) as airtable:
        report, mib, refresh_seconds, cpu_seconds = _refresh()
        started = time.monotonic()
        variables = {
            "AIRTABLE_CHANGES": "push",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
        }
        with load_generator() as client, serving(variables=variables) as server:
            ready_seconds = time.monotonic() - started
            calls = [call_bytes(number_of(index)) for index in range(CALLED)]
            load = Load(calls, CONNECTIONS, seconds)
            while_read = client.submit(measure, server.port, load).result()
            edits = _edit(base, airtable, port, report["airtable_requests"])
            later = client.submit(measure, server.port, load).result()
            return Scale(
                numbers,
                report["airtable_requests"],
                refresh_seconds,
                mib,
                cpu_seconds,
                ready_seconds,
                own_mib(server.workers()[0]),
                while_read,
                later,
                edits,
            )


def _refresh() -> tuple[dict[str, int], int, float, float]:
    """Its report, peak memory in MiB, seconds, and seconds of CPU time."""
    command = [sys.executable, "-m", "benchmarks.peak_memory", sys.executable, "-m"]
    command += ["benchmarks.unlimited_manage", "refresh_airtable_cache", "--json"]
    before = os.times().children_user + os.times().children_system
    ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    cpu_seconds = os.times().children_user + os.times().children_system - before
    peak, seconds = ended.stderr.split()[-2:]
    return json.loads(ended.stdout), int(peak), float(seconds), cpu_seconds


def _edit(base: Base, airtable: Sandbox, port: int, requests: int) -> list[float]:
    """The seconds until an edit is live, once the change feed is in sync."""
    # Reading, then joining and publishing with a low priority.
    reading_seconds = 120 + 2 * requests / REQUESTS_PER_SECOND
    airtable.limits.requests_per_second = REQUESTS_PER_SECOND
    record_id = next(iter(base.table("customers").records))
    found = []
    for index in range(EDITS + 1):  # the first waits until the feed is in sync
        name = f"Jane {index}"
        base.table("customers").update(record_id, {"customer_name": name})
        found.append(
            seconds_until_live(
                port,
                number_of(0),
                partial(_has_name, name),
                reading_seconds,
            )
        )
    return found[1:]


def _has_name(name: str, variables: Variables) -> bool:
    return variables is not None and variables.get("customer_name") == name
