"""With a round trip of 25 ms to Redis: a hit, compared with FastAPI's, and the time from a start to
the first answer."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from benchmarks.environment import environment
from benchmarks.load import Load, load_generator, measure
from benchmarks.publish_customers import customer_number, publish_customers
from benchmarks.results import Goal, Report
from benchmarks.retell_calls import call_bytes, source_of
from benchmarks.server_process import FASTAPI, serving, starting
from sandbox.airtable.sample.bases import linked_base
from tests.support.servers.proxy import Proxy

ONE_WAY_SECONDS = 0.0125
NUMBERS = 10_000
P50 = Goal("p50 of a hit, Redis 25 ms away", "FastAPI + redis.asyncio", at_most=0.02)
START = Goal(
    "from start to first answer, 10,000 numbers, Redis 25 ms away", "", at_most=2, unit="s"
)


def run(report: Report, rounds: int, seconds: float) -> None:
    with environment(linked_base()), _distant_redis() as variables:
        publish_customers(NUMBERS)
        report.add(P50, _p50_ratios(variables, rounds, seconds))
        report.add(START, [_start_seconds(variables) for _ in range(rounds)])


@contextmanager
def _distant_redis() -> Iterator[dict[str, str]]:
    """The variable that gives a server this address of the environment's Redis."""
    port = urlsplit(os.environ["REDIS_URL"]).port or 6379
    with closing(Proxy(port)) as proxy:
        proxy.delay = ONE_WAY_SECONDS
        yield {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}"}


def _p50_ratios(variables: dict[str, str], rounds: int, seconds: float) -> list[float]:
    ratios = []
    with (
        load_generator() as client,
        serving(variables=variables) as siftly,
        serving(FASTAPI, variables=variables) as fastapi,
    ):
        for _ in range(rounds):
            load = Load([call_bytes(customer_number(0))], 1, seconds)
            p50 = [
                client.submit(measure, server.port, load).result().p50_ms
                for server in (siftly, fastapi)
            ]
            ratios.append(p50[0] / p50[1])
    return ratios


def _start_seconds(variables: dict[str, str]) -> float:
    """Seconds from the command to the first answer, which has to come from memory."""
    started = time.monotonic()
    with starting(variables=variables) as server:
        while not server.is_ready():
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(call_bytes(customer_number(NUMBERS - 1)))
            response = connection.recv(65536)
        seconds = time.monotonic() - started
    if source_of(response) != "memory":
        raise RuntimeError(f"Not from memory:\n{response.decode()}")
    return seconds
