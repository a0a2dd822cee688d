"""Callers of numbers that nobody has asked for yet, and what they do to the others."""

import asyncio
import time
from concurrent.futures import Executor
from typing import Any

from benchmarks.cores import ALL
from benchmarks.load import Load, Measured, generator, measure
from benchmarks.results import Goal, Report, spread
from benchmarks.stage import NUMBER, call, refresh, serving, stage
from sandbox.airtable.bases import Base
from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import flat_base, linked_base

Timed = tuple[float, bytes]  # when its answer was there (time.monotonic), and its status line


HELD = Goal("a hit's p99 with 200 cold callers held", "without them", at_most=2)


def run(report: Report, rounds: int, seconds: float) -> None:
    one_number(rounds)
    for layout in ("flat", "linked"):
        for processes in (1, 2):
            hundred_numbers(layout, processes)
    held_callers(report, rounds, seconds)


def one_number(rounds: int) -> None:
    """A hundred callers of one cold number, four processes, 3.2 s of Airtable in three trips."""
    lookups, overshoots = [], []
    for _ in range(rounds):
        with (
            stage(linked_base(), latency=1.067) as airtable,
            serving(**_processes(4)) as server,
        ):
            before = len(airtable.requests)
            answers = asyncio.run(all_answered(server.port, [NUMBER] * 100))
            asked = [each for each in airtable.requests[before:] if "/meta/" not in each.path]
            ended = max(each.finished_at or 0 for each in asked)
            lookups.append(len(asked) / 4)
            overshoots.append(max(at - ended for at, _ in answers) * 1000)
    print(f"100 callers of one cold number, 4 processes: {spread(lookups, 0)} lookups;")
    print(f"  the last one answered {spread(overshoots, 1)} ms after the lookup's end")


def _processes(count: int) -> dict[str, Any]:
    return {"cores": ALL, "variables": {"WEB_CONCURRENCY": str(count)}}


def hundred_numbers(layout: str, processes: int) -> None:
    base = linked_base() if layout == "linked" else flat_base()
    numbers = add_numbers(base, 100)
    with (
        stage(base, latency=0.3) as airtable,
        serving(**_processes(processes)) as server,
    ):
        before, started = len(airtable.requests), time.monotonic()
        answers = asyncio.run(all_answered(server.port, numbers))
        asked = airtable.requests[before:]
        spent = max(at for at, _ in answers) - started
        refused = sum(each.status == 429 for each in asked)
    print(
        f"100 cold numbers, {layout} layout, {processes} process(es): "
        f"{len(asked)} requests, {refused} refused (429), all answered in {spent:.2f} s"
    )


def held_callers(report: Report, rounds: int, seconds: float) -> None:
    """A hit's p99 while 200 cold callers are held by an Airtable that hangs."""
    ratios = []
    with stage(linked_base(), requests_per_second=None) as airtable, generator() as client:
        refresh()
        with serving() as server:
            for index in range(rounds):
                load = Load([call()], 4, seconds)
                without = client.submit(measure, server.port, load).result()
                fault = airtable.faults.add(Fault(hang=True, times=None))
                within = asyncio.run(_hits_beside_held(client, server.port, load, index))
                airtable.faults.remove(fault)
                ratios.append(within.p99_ms / without.p99_ms)
                time.sleep(6)  # the breaker tries again
    report.add(HELD, ratios)


async def _hits_beside_held(client: Executor, port: int, load: Load, index: int) -> Measured:
    numbers = [f"+3247{index % 10}{each:06}" for each in range(200)]
    cold = asyncio.create_task(all_answered(port, numbers))
    await asyncio.sleep(1.0)
    measured = await asyncio.wrap_future(client.submit(measure, port, load))
    cold.cancel()
    return measured


async def all_answered(port: int, numbers: list[str]) -> list[Timed]:
    return list(await asyncio.gather(*(_one(port, number) for number in numbers)))


async def _one(port: int, number: str) -> Timed:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call(number))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
    return time.monotonic(), head


def add_numbers(base: Base, count: int) -> list[str]:
    numbers = [f"+32471{index:06}" for index in range(count)]
    linked = next((table for table in base.tables if table.name == "client"), None)
    for number in numbers:
        if linked:
            client = next(iter(linked.records))
            row = {"twilio_number": number, "client": [client]}
            base.table("twilio_number").create(row)
        else:
            base.table("customers").create({"to_number": number, "customer_name": number})
    return numbers
