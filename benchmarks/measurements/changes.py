"""The time from an edit in Airtable until each of two processes answers with it."""

import asyncio
import json
import math
import random
import time
from collections import defaultdict

from benchmarks.cpu_cores import ALL
from benchmarks.edits import NUMBER, Condition, Edits, Variables
from benchmarks.environment import environment
from benchmarks.results import Goal, Report
from benchmarks.retell_calls import call_bytes
from benchmarks.server_process import free_port, serving
from sandbox.airtable.sample.bases import linked_base

IN_A_ROW = 8  # answers on new connections: both processes give some of them
POLL_SECONDS = 2.0
# With push, the next edit follows as soon as the last one is live: what that one used of the rate
# limit is part of the measurement. With poll, that would be the best moment, just after a reading.
# So these edits come at random moments.
MAX_PAUSE_SECONDS = {"push": 0.0, "poll": POLL_SECONDS}


def run(report: Report, rounds: int, _: float) -> None:
    for changes in ("push", "poll"):
        for latency in (0.0, 0.3):
            _measure(report, changes, latency, 20 * rounds)


def _measure(report: Report, changes: str, latency: float, times: int) -> None:
    base, port, pauses = linked_base(), free_port(), random.Random(times)
    variables = {
        "AIRTABLE_CHANGES": changes,
        "AIRTABLE_POLL_SECONDS": str(POLL_SECONDS if changes == "poll" else 300),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
    }
    with environment(base) as airtable, serving(cores=ALL, variables=variables):
        seconds_until_live(port, NUMBER, lambda answer: answer is not None)
        time.sleep(5)  # until everything is read, and the change feed is in sync
        airtable.latency = latency
        seconds: dict[str, list[float]] = defaultdict(list)
        for kind, number, is_live in Edits(base).each(times):
            seconds[kind].append(seconds_until_live(port, number, is_live))
            time.sleep(MAX_PAUSE_SECONDS[changes] * pauses.random())
        rejected = sum(each.status == 429 for each in airtable.requests)
    what = f"p99 of {times} edits, {changes}, Airtable at {latency} s"
    limit = POLL_SECONDS + 1 if changes == "poll" else 2.0
    every = sorted(each for of_kind in seconds.values() for each in of_kind)
    report.add(Goal(what, "until live", at_most=limit, unit="s"), [_percentile(every, 0.99)])
    _print_result(what, seconds, rejected)


def _print_result(what: str, seconds: dict[str, list[float]], rejected: int) -> None:
    every = sorted(each for of_kind in seconds.values() for each in of_kind)
    print(
        f"{what}: {_percentile(every, 0.99):.2f} s, at most {every[-1]:.2f}, "
        f"median {_percentile(every, 0.5):.2f}, {rejected} rejected (429)"
    )
    slowest = sorted(seconds, key=lambda kind: -max(seconds[kind]))[:4]
    print("  slowest: " + ", ".join(f"{kind} {max(seconds[kind]):.2f} s" for kind in slowest))


def _percentile(sorted_values: list[float], share: float) -> float:
    """By nearest rank."""
    return sorted_values[math.ceil(share * len(sorted_values)) - 1]


def seconds_until_live(port: int, number: str, is_live: Condition, at_most: float = 60) -> float:
    """Until the first of IN_A_ROW answers that all meet the condition."""
    return asyncio.run(_seconds_until_live(port, number, is_live, at_most))


async def _seconds_until_live(port: int, number: str, is_live: Condition, at_most: float) -> float:
    started, in_a_row, since = time.monotonic(), 0, 0.0
    while in_a_row < IN_A_ROW:
        called_at = time.monotonic()
        if called_at - started > at_most:
            raise SystemExit(f"The edit of {number} is not live after {at_most:.0f} s.")
        in_a_row = in_a_row + 1 if is_live(await _call(port, number)) else 0
        since = called_at if in_a_row == 1 else since
        if not in_a_row:
            await asyncio.sleep(0.02)
    return since - started


async def _call(port: int, number: str) -> Variables:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call_bytes(number))
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    inbound = json.loads(await reader.readexactly(length))["call_inbound"]
    writer.close()
    variables: dict[str, str] = inbound["dynamic_variables"]
    return variables if inbound["metadata"]["customer_known"] else None
