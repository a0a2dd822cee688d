"""Hits, beside the peers and the floors, in turns: all see the same machine, Redis and requests."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass

from rich.table import Table

from benchmarks import stage
from benchmarks.cores import CORES
from benchmarks.load import Load, Measured, generator, measure
from benchmarks.results import CONSOLE, Goal, Report, spread
from sandbox.airtable.sample import linked_base

CONTENDERS = {
    "Siftly": stage.SIFTLY,
    "FastAPI + redis.asyncio": stage.FASTAPI,
    "Flask + redis-py": stage.FLASK,
    "empty ASGI application": stage.EMPTY_ASGI,
    "empty Django view": stage.EMPTY_VIEW,
}
P50 = Goal("a hit's p50, one connection", "FastAPI + redis.asyncio", at_most=0.5)
RATE = Goal("hits a second, 16 connections", "FastAPI + redis.asyncio", at_least=2.5)
FLOOR_CPU = Goal("the same by processor time", "empty ASGI application", at_least=0.6)
FLOOR = Goal("hits a second, 16 connections", "empty ASGI application", at_least=0.6)


@dataclass(frozen=True)
class Round:
    measured: Measured
    cpu_us: float  # of the server, for an answer: the same whoever else uses the machine


Results = dict[tuple[str, int], list[Round]]


def run(report: Report, rounds: int, seconds: float) -> None:
    results: Results = {}
    with stage.stage(linked_base(), requests_per_second=None), ExitStack() as opened:
        stage.refresh()
        client = opened.enter_context(generator())
        servers = {
            name: opened.enter_context(stage.serving(command))
            for name, command in CONTENDERS.items()
        }
        for _ in range(rounds):
            for connections in (1, 16):
                load = Load([stage.call()], connections, seconds)
                for name, server in servers.items():
                    each = _round(client, server, load)
                    results.setdefault((name, connections), []).append(each)
    CONSOLE.print(_table(results, rounds))
    _compare(report, results)


def _round(client: Executor, server: stage.Served, load: Load) -> Round:
    before = server.cpu_seconds()
    measured = client.submit(measure, server.port, load).result()
    return Round(measured, (server.cpu_seconds() - before) / measured.answers * 1e6)


def _compare(report: Report, results: Results) -> None:
    def ratios(goal: Goal, connections: int, figure: Callable[[Round], float]) -> None:
        pairs = zip(results["Siftly", connections], results[goal.against, connections], strict=True)
        report.add(goal, [figure(ours) / figure(theirs) for ours, theirs in pairs])

    ratios(P50, 1, lambda each: each.measured.p50_ms)
    ratios(RATE, 16, lambda each: each.measured.requests_per_second)
    ratios(FLOOR, 16, lambda each: each.measured.requests_per_second)
    if CORES:
        ratios(FLOOR_CPU, 16, lambda each: 1 / each.cpu_us)


def _table(results: Results, rounds: int) -> Table:
    table = Table(title=f"A hit, one process on a core of its own, medians of {rounds} rounds")
    for column in ("", "connections", "requests/s", "p50 ms", "p99 ms", "µs of CPU"):
        table.add_column(column, justify="right")
    for (name, connections), each in results.items():
        figures = [
            spread([one.measured.requests_per_second for one in each], 0),
            spread([one.measured.p50_ms for one in each], 3),
            spread([one.measured.p99_ms for one in each], 3),
            spread([one.cpu_us for one in each], 0),
        ]
        table.add_row(name, str(connections), *figures)
    return table
