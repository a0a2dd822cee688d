"""What a second process brings, and what numbers cost a process."""

from pathlib import Path

from benchmarks import stage
from benchmarks.cores import ALL, CLIENT, CORES
from benchmarks.fill import fill, number
from benchmarks.load import Load, generator, measure
from benchmarks.results import Goal, Report
from sandbox.airtable.sample import linked_base

TWO = "hits a second of two processes on two cores, with client and Redis"
FAIR = Goal(TWO, "one process on one core, with client and Redis", at_least=1.7)
BESIDE = Goal(TWO, "one process on a core of its own", at_least=1.7)
MEMORY = Goal("memory of a process, 10,000 numbers called", "10", at_most=25, unit="MiB more")
CONNECTIONS = 32
EVERY_NUMBER_SECONDS = 4.0


def run(report: Report, rounds: int, seconds: float) -> None:
    _second_process(report, rounds, seconds)
    if CORES:
        pairs = [(_memory(10), _memory(10_000)) for _ in range(rounds)]
        report.add(MEMORY, [many - few for few, many in pairs])


def _second_process(report: Report, rounds: int, seconds: float) -> None:
    """The client takes its part of the second core; so a process that shares the only core with it
    is what tells how the service itself scales."""
    fair, beside = [], []
    with stage.stage(linked_base()), generator() as client:
        stage.refresh()
        with (
            stage.serving(cores=CLIENT) as shared,
            stage.serving() as alone,
            stage.serving(cores=ALL, variables={"WEB_CONCURRENCY": "2"}) as two,
        ):
            for _ in range(rounds):
                load = Load([stage.call()], CONNECTIONS, seconds)
                rates = [
                    client.submit(measure, server.port, load).result().requests_per_second
                    for server in (shared, alone, two)
                ]
                fair.append(rates[2] / rates[0])
                beside.append(rates[2] / rates[1])
    report.add(FAIR, fair)
    report.add(BESIDE, beside)


def _memory(numbers: int) -> float:
    """MiB that a worker does not share with others, after each of so many numbers was called."""
    with stage.stage(linked_base()), generator() as client:
        fill(numbers)
        calls = [stage.call(number(index)) for index in range(numbers)]
        with stage.serving() as server:
            client.submit(measure, server.port, Load(calls, 16, EVERY_NUMBER_SECONDS)).result()
            return own_mib(server.workers()[0])


def own_mib(process: int) -> float:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    own = (line.split() for line in lines if line.startswith("Private_"))
    return sum(int(fields[1]) for fields in own) / 1024
