"""Cache hits, of Siftly and of its baselines by turns: all have the same machine, Redis and
requests."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass

from rich.table import Table

from benchmarks import server_process
from benchmarks.cpu_cores import CORES
from benchmarks.environment import environment, refresh
from benchmarks.load import Load, Measured, load_generator, measure
from benchmarks.results import CONSOLE, Goal, Report, spread
from benchmarks.retell_calls import call_bytes
from benchmarks.server_process import ServerProcess, serving
from sandbox.airtable.sample.bases import linked_base

COMMANDS = {
    "Siftly": server_process.SIFTLY,
    "FastAPI + redis.asyncio": server_process.FASTAPI,
    "Flask + redis-py": server_process.FLASK,
    "empty ASGI application": server_process.EMPTY_ASGI,
    "empty Django view": server_process.EMPTY_VIEW,
}
P50 = Goal("p50 of a hit, one connection", "FastAPI + redis.asyncio", at_most=0.5)
RATE = Goal("hits per second, 16 connections", "FastAPI + redis.asyncio", at_least=6.0)
FLOOR = Goal("hits per second, 16 connections", "empty ASGI application", at_least=0.6)
FLOOR_CPU = Goal("hits per CPU second, 16 connections", "empty ASGI application", at_least=0.6)


@dataclass(frozen=True)
class Round:
    measured: Measured
    cpu_us: float  # the server's per response; other processes on the machine do not change it


Results = dict[tuple[str, int], list[Round]]  # by server and number of connections


def run(report: Report, rounds: int, seconds: float) -> None:
    results: Results = {}
    with environment(linked_base(), requests_per_second=None), ExitStack() as stack:
        refresh()
        client = stack.enter_context(load_generator())
        servers = {
            name: stack.enter_context(serving(command)) for name, command in COMMANDS.items()
        }
        for _ in range(rounds):
            for connections in (1, 16):
                load = Load([call_bytes()], connections, seconds)
                for name, server in servers.items():
                    result = measure_round(client, server, load)
                    results.setdefault((name, connections), []).append(result)
    title = f"A hit, one process on a core of its own, medians of {rounds} rounds"
    CONSOLE.print(hits_table(title, results))
    _add_ratios(report, results)


def measure_round(client: Executor, server: ServerProcess, load: Load) -> Round:
    before = server.cpu_seconds()
    measured = client.submit(measure, server.port, load).result()
    return Round(measured, (server.cpu_seconds() - before) / measured.responses * 1e6)


def _add_ratios(report: Report, results: Results) -> None:
    def add(goal: Goal, connections: int, value: Callable[[Round], float]) -> None:
        pairs = zip(results["Siftly", connections], results[goal.against, connections], strict=True)
        report.add(goal, [value(siftly) / value(other) for siftly, other in pairs])

    add(P50, 1, lambda each: each.measured.p50_ms)
    add(RATE, 16, lambda each: each.measured.requests_per_second)
    add(FLOOR, 16, lambda each: each.measured.requests_per_second)
    if CORES:
        add(FLOOR_CPU, 16, lambda each: 1 / each.cpu_us)


def hits_table(title: str, results: Results) -> Table:
    table = Table(title=title)
    for column in ("", "connections", "requests/s", "p50 ms", "p99 ms", "µs of CPU"):
        table.add_column(column, justify="right")
    for (name, connections), each in results.items():
        values = [
            spread([one.measured.requests_per_second for one in each], 0),
            spread([one.measured.p50_ms for one in each], 3),
            spread([one.measured.p99_ms for one in each], 3),
            spread([one.cpu_us for one in each], 0),
        ]
        table.add_row(name, str(connections), *values)
    return table
