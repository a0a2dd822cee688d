"""Hits, beside an empty application on the same server, in turns: both see the same machine."""

import asyncio

from rich.console import Console
from rich.table import Table

from benchmarks.load import Measured, measure
from benchmarks.stage import call, refresh, serving, spread, stage
from sandbox.airtable.sample import linked_base


def run(rounds: int, seconds: float) -> None:
    results: dict[tuple[str, int], list[Measured]] = {}
    with stage(linked_base(), requests_per_second=None):
        refresh()
        with serving() as ours, serving("benchmarks.floor:application") as floor:
            for _ in range(rounds):
                for connections in (1, 16):
                    for name, port in (("siftly", ours), ("floor", floor)):
                        measured = asyncio.run(measure(port, call(), connections, seconds))
                        results.setdefault((name, connections), []).append(measured)
    _tell(results, rounds)


def _tell(results: dict[tuple[str, int], list[Measured]], rounds: int) -> None:
    table = Table(title=f"A hit, one process, medians of {rounds} rounds (least-most)")
    for column in ("", "connections", "requests/s", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for (name, connections), each in results.items():
        figures = [
            spread([one.requests_per_second for one in each], 0),
            spread([one.p50_ms for one in each], 3),
            spread([one.p99_ms for one in each], 3),
        ]
        table.add_row(name, str(connections), *figures)
    pairs = zip(results["siftly", 16], results["floor", 16], strict=True)
    ratios = [mine.requests_per_second / empty.requests_per_second for mine, empty in pairs]
    Console(width=110).print(table, f"Hits a second by the floor's: {spread(ratios, 2)}")
