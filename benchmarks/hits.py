"""Hits, beside the peers and the floors, in turns: all see the same machine, Redis and requests."""

from contextlib import ExitStack

from rich.table import Table

from benchmarks import stage
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
FLOOR = Goal("hits a second, 16 connections", "empty ASGI application", at_least=0.6)

Results = dict[tuple[str, int], list[Measured]]


def run(report: Report, rounds: int, seconds: float) -> None:
    results: Results = {}
    with stage.stage(linked_base(), requests_per_second=None), ExitStack() as opened:
        stage.refresh()
        client = opened.enter_context(generator())
        ports = {
            name: opened.enter_context(stage.serving(command)).port
            for name, command in CONTENDERS.items()
        }
        for _ in range(rounds):
            requests = [stage.call()]
            for connections in (1, 16):
                for name, port in ports.items():
                    load = Load(requests, connections, seconds)
                    measured = client.submit(measure, port, load).result()
                    results.setdefault((name, connections), []).append(measured)
    CONSOLE.print(_table(results, rounds))
    _compare(report, results)


def _compare(report: Report, results: Results) -> None:
    for goal, connections in ((P50, 1), (RATE, 16), (FLOOR, 16)):
        pairs = zip(
            results["Siftly", connections], results[goal.against, connections], strict=True
        )
        if goal is P50:
            ratios = [ours.p50_ms / theirs.p50_ms for ours, theirs in pairs]
        else:
            ratios = [o.requests_per_second / t.requests_per_second for o, t in pairs]
        report.add(goal, ratios)


def _table(results: Results, rounds: int) -> Table:
    table = Table(title=f"A hit, one process on a core of its own, medians of {rounds} rounds")
    for column in ("", "connections", "requests/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for (name, connections), each in results.items():
        figures = [
            spread([one.requests_per_second for one in each], 0),
            spread([one.p50_ms for one in each], 3),
            spread([one.p99_ms for one in each], 3),
        ]
        table.add_row(name, str(connections), *figures)
    return table
