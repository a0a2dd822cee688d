"""Callers of numbers that nobody has asked for yet, and what they do to the others."""

import asyncio
import time

from benchmarks.load import Measured, measure
from benchmarks.stage import NUMBER, call, refresh, serving, spread, stage
from sandbox.airtable.bases import Base
from sandbox.airtable.faults import Fault
from sandbox.airtable.sample import flat_base, linked_base

Timed = tuple[float, bytes]  # when its answer was there (time.monotonic), and its status line


def run(rounds: int) -> None:
    one_number(rounds)
    for layout in ("flat", "linked"):
        for processes in (1, 2):
            hundred_numbers(layout, processes)
    held_callers(rounds)


def one_number(rounds: int) -> None:
    """A hundred callers of one cold number, four processes, 3.2 s of Airtable in three trips."""
    lookups, overshoots = [], []
    for _ in range(rounds):
        with stage(linked_base(), latency=1.067) as airtable, serving(processes=4) as port:
            before = len(airtable.requests)
            answers = asyncio.run(_all(port, [NUMBER] * 100))
            asked = [each for each in airtable.requests[before:] if "/meta/" not in each.path]
            ended = max(each.finished_at or 0 for each in asked)
            lookups.append(len(asked) / 4)
            overshoots.append(max(at - ended for at, _ in answers) * 1000)
    print(f"100 callers of one cold number, 4 processes: {spread(lookups, 0)} lookups;")
    print(f"  the last one answered {spread(overshoots, 1)} ms after the lookup's end")


def hundred_numbers(layout: str, processes: int) -> None:
    base = linked_base() if layout == "linked" else flat_base()
    numbers = _add_numbers(base, 100)
    with stage(base, latency=0.3) as airtable, serving(processes=processes) as port:
        before, started = len(airtable.requests), time.monotonic()
        answers = asyncio.run(_all(port, numbers))
        asked = airtable.requests[before:]
        spent = max(at for at, _ in answers) - started
        refused = sum(each.status == 429 for each in asked)
    print(
        f"100 cold numbers, {layout} layout, {processes} process(es): "
        f"{len(asked)} requests, {refused} refused (429), all answered in {spent:.2f} s"
    )


def held_callers(rounds: int) -> None:
    """A hit's p99 while 200 cold callers are held by an Airtable that hangs."""
    ratios, plain, held = [], [], []
    with stage(linked_base(), requests_per_second=None) as airtable:
        refresh()
        with serving() as port:
            for index in range(rounds):
                without = asyncio.run(measure(port, call(), 4, 2.0))
                fault = airtable.faults.add(Fault(hang=True, times=None))
                within = asyncio.run(_hits_beside_held(port, index))
                airtable.faults.remove(fault)
                plain.append(without.p99_ms)
                held.append(within.p99_ms)
                ratios.append(within.p99_ms / without.p99_ms)
                time.sleep(6)  # the breaker tries again
    print(f"A hit's p99, 4 connections: {spread(plain, 2)} ms,")
    print(f"  with 200 cold callers held {spread(held, 2)} ms, ratio {spread(ratios, 2)}")


async def _hits_beside_held(port: int, index: int) -> Measured:
    numbers = [f"+3247{index % 10}{each:06}" for each in range(200)]
    cold = asyncio.create_task(_all(port, numbers))
    await asyncio.sleep(1.0)
    measured = await measure(port, call(), 4, 2.0)
    cold.cancel()
    return measured


async def _all(port: int, numbers: list[str]) -> list[Timed]:
    return list(await asyncio.gather(*(_one(port, number) for number in numbers)))


async def _one(port: int, number: str) -> Timed:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call(number))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
    return time.monotonic(), head


def _add_numbers(base: Base, count: int) -> list[str]:
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
