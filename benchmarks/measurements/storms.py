"""Many simultaneous calls of numbers that are not cached, and what they do to other calls."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from benchmarks.cpu_cores import ALL
from benchmarks.environment import environment, refresh
from benchmarks.load import Load, Measured, load_generator, measure
from benchmarks.results import Goal, Report, spread
from benchmarks.retell_calls import NUMBER, call_bytes
from benchmarks.server_process import serving
from sandbox.airtable.data.bases import Base
from sandbox.airtable.faults.fault import Fault
from sandbox.airtable.sample.bases import flat_base, linked_base

TimedAnswer = tuple[float, bytes]  # when it arrived (time.monotonic), and its head

WAITING = 200
P99 = Goal(
    f"p99 of a hit while {WAITING} calls wait for a lookup", "without these calls", at_most=2
)
CIRCUIT_BREAKER_SECONDS = 6  # until it lets a lookup probe Airtable again


def run(report: Report, rounds: int, seconds: float) -> None:
    _one_number(rounds)
    for layout in ("flat", "linked"):
        for processes in (1, 2):
            _hundred_numbers(layout, processes)
    _hits_while_calls_wait(report, rounds, seconds)


def _one_number(rounds: int) -> None:
    """A hundred calls of one number that is not cached, four processes, 3.2 s of Airtable in three
    round trips."""
    lookups, delays = [], []
    for _ in range(rounds):
        with (
            environment(linked_base(), latency=1.067) as airtable,
            serving(**_processes(4)) as server,
        ):
            before = len(airtable.requests)
            answers = asyncio.run(call_all(server.port, [NUMBER] * 100))
            requests = [each for each in airtable.requests[before:] if "/meta/" not in each.path]
            ended = max(each.finished_at or 0 for each in requests)
            lookups.append(len(requests) / 4)
            delays.append(max(at - ended for at, _ in answers) * 1000)
    print(
        f"100 callers of one number that is not cached, 4 processes: {spread(lookups, 0)} lookups\n"
        f"  the last caller answered after the lookup's end: {spread(delays, 1)} ms"
    )


def _processes(count: int) -> dict[str, Any]:
    return {"cores": ALL, "variables": {"WEB_CONCURRENCY": str(count)}}


def _hundred_numbers(layout: str, processes: int) -> None:
    base = linked_base() if layout == "linked" else flat_base()
    numbers = add_numbers(base, 100)
    with (
        environment(base, latency=0.3) as airtable,
        serving(**_processes(processes)) as server,
    ):
        before, started = len(airtable.requests), time.monotonic()
        answers = asyncio.run(call_all(server.port, numbers))
        requests = airtable.requests[before:]
        seconds = max(at for at, _ in answers) - started
        rejected = sum(each.status == 429 for each in requests)
    print(
        f"100 numbers that are not cached, {layout} layout, {processes} process(es): "
        f"{len(requests)} requests, {rejected} rejected (429), all answered in {seconds:.2f} s"
    )


def _hits_while_calls_wait(report: Report, rounds: int, seconds: float) -> None:
    """The calls wait for an Airtable that does not respond."""
    ratios = []
    with (
        environment(linked_base(), requests_per_second=None) as airtable,
        load_generator() as client,
    ):
        refresh()
        with serving() as server:
            for index in range(rounds):
                load = Load([call_bytes()], 4, seconds)
                alone = client.submit(measure, server.port, load).result()
                fault = airtable.faults.add(Fault(hang=True, times=None))
                beside = asyncio.run(_hits_beside_waiting(client, server.port, load, index))
                airtable.faults.remove(fault)
                ratios.append(beside.p99_ms / alone.p99_ms)
                time.sleep(CIRCUIT_BREAKER_SECONDS)
    report.add(P99, ratios)


async def _hits_beside_waiting(client: Executor, port: int, load: Load, index: int) -> Measured:
    waiting = asyncio.create_task(call_all(port, waiting_numbers(index, WAITING)))
    await asyncio.sleep(1.0)
    measured = await asyncio.wrap_future(client.submit(measure, port, load))
    waiting.cancel()
    return measured


def waiting_numbers(index: int, count: int) -> list[str]:
    """Other numbers in each of ten rounds: none of them is cached yet."""
    return [f"+3247{index % 10}{each:06}" for each in range(count)]


async def call_all(port: int, numbers: Sequence[str]) -> list[TimedAnswer]:
    """Call all numbers at once."""
    return list(await asyncio.gather(*(_call(port, number) for number in numbers)))


async def _call(port: int, number: str) -> TimedAnswer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call_bytes(number))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
    return time.monotonic(), head


def add_numbers(base: Base, count: int) -> list[str]:
    """Add records of called numbers to either sample base. Returns the numbers."""
    numbers = [f"+32471{index:06}" for index in range(count)]
    linked = next((table for table in base.tables if table.name == "client"), None)
    for number in numbers:
        if linked:
            client = next(iter(linked.records))
            cells = {"twilio_number": number, "client": [client]}
            base.table("twilio_number").create(cells)
        else:
            base.table("customers").create({"to_number": number, "customer_name": number})
    return numbers
