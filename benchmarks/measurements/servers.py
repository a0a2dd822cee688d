"""Compares ways to serve: hits, misses, and hits while other calls wait for Airtable, with two
processes on two cores that the load shares. Also a start, and a process's memory."""

import asyncio
import time
from concurrent.futures import Executor

from rich.table import Table

from benchmarks.cpu_cores import ALL
from benchmarks.environment import environment, refresh
from benchmarks.load import Load, Measured, load_generator, measure
from benchmarks.measurements.processes import own_mib
from benchmarks.measurements.storms import add_numbers, call_all, waiting_numbers
from benchmarks.results import CONSOLE, Report, spread
from benchmarks.retell_calls import call_bytes
from benchmarks.server_process import SIFTLY, serving
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import flat_base

GUNICORN_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "Siftly": (),
    "… one process": ("-w", "1"),
    "… without preloading": ("-c", "python:benchmarks.baselines.no_preload"),
    "… everything through ASGI": ("-k", "benchmarks.baselines.gunicorn_workers.AsgiOnly"),
    "… on uvicorn's protocol": ("-k", "benchmarks.baselines.gunicorn_workers.Httptools"),
    "… on asyncio's loop": ("-k", "benchmarks.baselines.gunicorn_workers.OnAsyncio"),
    "uvicorn's worker": ("-k", "benchmarks.baselines.gunicorn_workers.Uvicorn"),
    "gunicorn's own worker (ASGI)": ("-k", "asgi"),
}
MISSES, WAITING = 50, 200  # called numbers that are not cached
LATENCY_SECONDS = 0.3
# Each column with its number of decimals.
COLUMNS = {
    "start s": 2,
    "hits/s": 0,
    "p99 ms": 2,
    f"{MISSES} misses s": 2,
    f"hits/s beside {WAITING} waiting": 0,
    "p99 ms beside": 2,
    "own MiB": 0,
}
Row = tuple[float, ...]


def run(_: Report, rounds: int, seconds: float) -> None:
    rows: dict[str, list[Row]] = {name: [] for name in GUNICORN_ARGUMENTS}
    for index in range(rounds):
        for name, arguments in GUNICORN_ARGUMENTS.items():
            rows[name].append(_row(arguments, seconds, index))
    CONSOLE.print(_table(rows, rounds))


def _row(arguments: tuple[str, ...], seconds: float, index: int) -> Row:
    base = flat_base()
    numbers = add_numbers(base, MISSES)
    command = (*SIFTLY, *arguments)
    with environment(base, latency=LATENCY_SECONDS) as airtable, load_generator() as client:
        started = time.monotonic()
        with serving(command, ALL, {"WEB_CONCURRENCY": "2"}) as server:
            start = time.monotonic() - started
            misses = _seconds_of_misses(server.port, numbers)
            refresh()
            time.sleep(1)  # until both processes have it
            load = Load([call_bytes()], 16, seconds)
            hits = client.submit(measure, server.port, load).result()
            fault = airtable.faults.add(Fault(hang=True, times=None))
            beside = asyncio.run(_hits_beside_waiting(client, server.port, seconds, index))
            airtable.faults.remove(fault)
            memory = max(map(own_mib, server.workers()))
    rates = (hits.requests_per_second, hits.p99_ms, misses)
    return (start, *rates, beside.requests_per_second, beside.p99_ms, memory)


def _seconds_of_misses(port: int, numbers: list[str]) -> float:
    """Seconds until the last call has its answer."""
    started = time.monotonic()
    answers = asyncio.run(call_all(port, numbers))
    return max(at for at, _ in answers) - started


async def _hits_beside_waiting(client: Executor, port: int, seconds: float, index: int) -> Measured:
    waiting = asyncio.create_task(call_all(port, waiting_numbers(index, WAITING)))
    await asyncio.sleep(0.5)
    load = Load([call_bytes()], 4, seconds)
    measured = await asyncio.wrap_future(client.submit(measure, port, load))
    waiting.cancel()
    return measured


def _table(rows: dict[str, list[Row]], rounds: int) -> Table:
    table = Table(title=f"Two processes on two cores, medians of {rounds} rounds")
    for column in ("worker", *COLUMNS):
        table.add_column(column, justify="right")
    for name, each in rows.items():
        columns = zip(zip(*each, strict=True), COLUMNS.values(), strict=True)
        table.add_row(name, *(spread(values, digits) for values, digits in columns))
    return table
