"""From an edit in Airtable to the moment both of two processes tell callers of it."""

import asyncio
import json
import math
import random
import time
from collections import defaultdict

from benchmarks.cores import ALL
from benchmarks.edits import NUMBER, Edits, Holds, Told
from benchmarks.results import Goal, Report
from benchmarks.stage import call, free_port, serving, stage
from sandbox.airtable.sample import linked_base

IN_A_ROW = 8  # answers, of fresh connections: from both processes, that is
POLL_SECONDS = 2.0
# With pings, an edit follows as soon as the one before is live: what that one used of the budget is
# part of what is measured. With polls that would be the best moment, just after one: there,
# edits are made at any.
PAUSE_SECONDS = {"push": 0.0, "poll": POLL_SECONDS}


def run(report: Report, rounds: int, seconds: float) -> None:  # noqa: ARG001
    for changes in ("push", "poll"):
        for latency in (0.0, 0.3):
            _measure(report, changes, latency, 20 * rounds)


def _measure(report: Report, changes: str, latency: float, times: int) -> None:
    base, port, chance = linked_base(), free_port(), random.Random(times)
    variables = {
        "AIRTABLE_CHANGES": changes,
        "AIRTABLE_POLL_SECONDS": str(POLL_SECONDS if changes == "poll" else 300),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
    }
    with stage(base) as airtable, serving(cores=ALL, variables=variables):
        asyncio.run(_until(port, NUMBER, lambda told: told is not None))
        time.sleep(5)  # all is read, and in step
        airtable.latency = latency
        taken: dict[str, list[float]] = defaultdict(list)
        for kind, number, holds in Edits(base).each(times):
            taken[kind].append(asyncio.run(_until(port, number, holds)))
            time.sleep(PAUSE_SECONDS[changes] * chance.random())
        refused = sum(each.status == 429 for each in airtable.requests)
    every = sorted(each for some in taken.values() for each in some)
    what = f"p99 of {times} edits, {changes}, Airtable at {latency} s"
    bound = POLL_SECONDS + 1 if changes == "poll" else 2.0
    report.add(Goal(what, "until live", at_most=bound, unit="s"), [_at(every, 0.99)])
    print(
        f"{what}: {_at(every, 0.99):.2f} s, at most {every[-1]:.2f}, "
        f"median {_at(every, 0.5):.2f}, {refused} refused (429)"
    )
    slowest = sorted(taken, key=lambda kind: -max(taken[kind]))[:4]
    print("  slowest: " + ", ".join(f"{kind} {max(taken[kind]):.2f} s" for kind in slowest))


def _at(sorted_values: list[float], share: float) -> float:
    """By nearest rank."""
    return sorted_values[math.ceil(share * len(sorted_values)) - 1]


async def _until(port: int, number: str, holds: Holds) -> float:
    started, right, since = time.monotonic(), 0, 0.0
    while right < IN_A_ROW:
        read_at = time.monotonic()
        if read_at - started > 60:
            raise SystemExit(f"{number} is not live after a minute")
        right = right + 1 if holds(await _told(port, number)) else 0
        since = read_at if right == 1 else since
        if not right:
            await asyncio.sleep(0.02)
    return since - started


async def _told(port: int, number: str) -> Told:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call(number))
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    inbound = json.loads(await reader.readexactly(length))["call_inbound"]
    writer.close()
    variables: dict[str, str] = inbound["dynamic_variables"]
    return variables if inbound["metadata"]["customer_known"] else None
