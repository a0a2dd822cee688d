"""How it is served best: hits, misses, and hits beside callers who wait for Airtable, by two
processes on two cores, the load on them, too. Also what a process takes of memory, and a start."""

import asyncio
import time
from concurrent.futures import Executor

from rich.table import Table

from benchmarks import stage
from benchmarks.cores import ALL
from benchmarks.load import Load, Measured, generator, measure
from benchmarks.processes import own_mib
from benchmarks.results import CONSOLE, Report, spread
from benchmarks.storms import add_numbers, all_answered
from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import flat_base

CONTENDERS: dict[str, tuple[str, ...]] = {  # arguments for gunicorn
    "ours": (),
    "ours, one process": ("-w", "1"),
    "ours, each imports for itself": ("-c", "python:benchmarks.no_preload"),
    "ours, all the long way": ("-k", "benchmarks.workers.LongWay"),
    "ours, on asyncio's loop": ("-k", "benchmarks.workers.OnAsyncio"),
    "uvicorn's": ("-k", "benchmarks.workers.Uvicorns"),
    "gunicorn's own (ASGI)": ("-k", "asgi"),
}
COLD, HELD = 50, 200  # numbers
LATENCY_SECONDS = 0.3


# What is measured of each, and with how many digits it is told.
COLUMNS = {
    "start s": 2,
    "hits/s": 0,
    "p99 ms": 2,
    f"{COLD} misses s": 2,
    f"hits/s beside {HELD} held": 0,
    "p99 ms beside": 2,
    "own MiB": 0,
}
Row = tuple[float, ...]


def run(_: Report, rounds: int, seconds: float) -> None:
    rows: dict[str, list[Row]] = {name: [] for name in CONTENDERS}
    for index in range(rounds):
        for name, arguments in CONTENDERS.items():
            rows[name].append(_row(arguments, seconds, index))
    CONSOLE.print(_table(rows, rounds))


def _row(arguments: tuple[str, ...], seconds: float, index: int) -> Row:
    base = flat_base()
    cold = add_numbers(base, COLD)
    command = (*stage.SIFTLY, *arguments)
    with stage.stage(base, latency=LATENCY_SECONDS) as airtable, generator() as client:
        started = time.monotonic()
        with stage.serving(command, ALL, {"WEB_CONCURRENCY": "2"}) as server:
            start = time.monotonic() - started
            misses = _misses(server.port, cold)
            stage.refresh()
            time.sleep(1)  # until both have it
            hits = client.submit(measure, server.port, Load([stage.call()], 16, seconds)).result()
            fault = airtable.faults.add(Fault(hang=True, times=None))
            beside = asyncio.run(_hits_beside_held(client, server.port, seconds, index))
            airtable.faults.remove(fault)
            memory = max(map(own_mib, server.workers()))
    rates = (hits.requests_per_second, hits.p99_ms, misses)
    return (start, *rates, beside.requests_per_second, beside.p99_ms, memory)


def _misses(port: int, numbers: list[str]) -> float:
    """Seconds until the last of them has its answer."""
    started = time.monotonic()
    answers = asyncio.run(all_answered(port, numbers))
    return max(at for at, _ in answers) - started


async def _hits_beside_held(client: Executor, port: int, seconds: float, index: int) -> Measured:
    numbers = [f"+3247{index % 10}{each:06}" for each in range(HELD)]
    cold = asyncio.create_task(all_answered(port, numbers))
    await asyncio.sleep(0.5)
    load = Load([stage.call()], 4, seconds)
    measured = await asyncio.wrap_future(client.submit(measure, port, load))
    cold.cancel()
    return measured


def _table(rows: dict[str, list[Row]], rounds: int) -> Table:
    table = Table(title=f"Two processes on two cores, medians of {rounds} rounds")
    for column in ("worker", *COLUMNS):
        table.add_column(column, justify="right")
    for name, each in rows.items():
        figures = zip(zip(*each, strict=True), COLUMNS.values(), strict=True)
        table.add_row(name, *(spread(values, digits) for values, digits in figures))
    return table
