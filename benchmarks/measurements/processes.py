"""How many more hits two processes answer than one, and how much memory a called number takes."""

from pathlib import Path

from benchmarks.cpu_cores import ALL, CLIENT, CORES
from benchmarks.environment import environment, refresh
from benchmarks.load import Load, load_generator, measure
from benchmarks.publish_customers import customer_number, publish_customers
from benchmarks.results import Goal, Report
from benchmarks.retell_calls import call_bytes
from benchmarks.server_process import serving
from sandbox.airtable.sample.bases import linked_base

TWO = "hits per second: two processes, client and Redis on two cores"
SHARED = Goal(TWO, "one process, client and Redis on one core", at_least=1.7)
ALONE = Goal(TWO, "one process on a core of its own", at_least=1.7)
MEMORY = Goal(
    "memory of a process after calls of 10,000 numbers",
    "after calls of 10",
    at_most=25,
    unit="MiB more",
)
CONNECTIONS = 32
CALLS_SECONDS = 4.0  # enough to call each of 10,000 numbers


def run(report: Report, rounds: int, seconds: float) -> None:
    _second_process(report, rounds, seconds)
    if CORES:
        pairs = [(_memory(10), _memory(10_000)) for _ in range(rounds)]
        report.add(MEMORY, [many - few for few, many in pairs])


def _second_process(report: Report, rounds: int, seconds: float) -> None:
    """The client uses a part of the second core. So the comparison with a process that shares its
    only core with the client shows how Siftly itself scales."""
    shared_ratios, alone_ratios = [], []
    with environment(linked_base()), load_generator() as client:
        refresh()
        with (
            serving(cores=CLIENT) as shared,
            serving() as alone,
            serving(cores=ALL, variables={"WEB_CONCURRENCY": "2"}) as two,
        ):
            for _ in range(rounds):
                load = Load([call_bytes()], CONNECTIONS, seconds)
                rates = [
                    client.submit(measure, server.port, load).result().requests_per_second
                    for server in (shared, alone, two)
                ]
                shared_ratios.append(rates[2] / rates[0])
                alone_ratios.append(rates[2] / rates[1])
    report.add(SHARED, shared_ratios)
    report.add(ALONE, alone_ratios)


def _memory(numbers: int) -> float:
    """A worker's own memory in MiB after a call of each of these numbers."""
    with environment(linked_base()), load_generator() as client:
        publish_customers(numbers)
        calls = [call_bytes(customer_number(index)) for index in range(numbers)]
        with serving() as server:
            client.submit(measure, server.port, Load(calls, 16, CALLS_SECONDS)).result()
            return own_mib(server.workers()[0])


def own_mib(process_id: int) -> float:
    """The memory that a process does not share with others."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    own = (line.split() for line in lines if line.startswith("Private_"))
    return sum(int(fields[1]) for fields in own) / 1024
