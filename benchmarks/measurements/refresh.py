"""A refresh of a large base: requests, time, memory and Redis commands. Compared with the requests
of a lookup for each number."""

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass

import redis
from pyairtable import Api, formulas
from rich.console import Console
from rich.table import Table

from benchmarks.environment import ROOT, environment
from benchmarks.results import Report
from sandbox.airtable.data.bases import Base
from sandbox.airtable.sample.large import large_base, number_of
from sandbox.airtable.server import Sandbox

PAGE_RECORDS = 100
PAGE_SECONDS = 0.05  # Airtable's time for a page
REQUESTS_PER_SECOND = 5
NUMBERS = 50_000
LIMITED_NUMBERS = 10_000  # with the rate limit, they take a minute
SAMPLED_LOOKUPS = 30  # all others need as many requests each

_MANAGE = ("manage.py",)
_UNLIMITED_MANAGE = ("-m", "benchmarks.unlimited_manage")


@dataclass(frozen=True)
class Refreshed:
    requests: int
    seconds: float  # from the start of the process to its end
    peak_mib: int
    commands: int  # that publishing sent to Redis


def run(_: Report, __: int, ___: float) -> None:
    """Once: several rounds would take many minutes."""
    table = Table(title="A refresh of four linked tables, three records per number")
    table.add_column("")
    for column in ("goal", "measured"):
        table.add_column(column, justify="right")
    _add_unlimited(table, NUMBERS)
    table.add_section()
    _add_limited(table, LIMITED_NUMBERS)
    Console(width=110).print(table)


def _add_unlimited(table: Table, numbers: int) -> None:
    base = large_base(numbers)
    with environment(base, requests_per_second=None) as airtable:
        first, second = _refresh(*_UNLIMITED_MANAGE), _refresh(*_UNLIMITED_MANAGE)
        lookups = _requests_of_lookups(airtable, numbers)
    pages = sum(math.ceil(len(each.records) / PAGE_RECORDS) for each in base.tables)
    ratio = lookups / first.requests
    requests = f"{numbers:,} numbers, {_count_records(base):,} records: requests"
    rows = (
        (requests, f"{pages:,}", f"{first.requests:,}"),
        ("  a lookup for each number", f"> {50 * pages:,}", f"{lookups:,}, {ratio:.0f} times"),
        ("  seconds without a rate limit", "60", f"{first.seconds:.1f}"),
        ("  the same again, nothing changed", "60", f"{second.seconds:.1f}"),
        ("  peak memory, MiB", "400", f"{first.peak_mib}; {second.peak_mib}"),
        (
            "  Redis commands of the publication",
            f"{numbers / 400:.0f}",
            f"{first.commands}; {second.commands}",
        ),
    )
    for row in rows:
        table.add_row(*row)


def _count_records(base: Base) -> int:
    return sum(len(each.records) for each in base.tables)


def _add_limited(table: Table, numbers: int) -> None:
    with environment(large_base(numbers), latency=PAGE_SECONDS) as airtable:
        refreshed = _refresh(*_MANAGE)
        rejected = sum(each.status == 429 for each in airtable.requests)
    least = refreshed.requests / REQUESTS_PER_SECOND
    ratio = f"{refreshed.seconds:.1f}, {refreshed.seconds / least:.3f} times {least:.0f}"
    table.add_row(f"{numbers:,} numbers, five requests a second: seconds", "1.1 times", ratio)
    table.add_row("  rejected (429)", "0", f"{rejected}")


def _refresh(*program: str) -> Refreshed:
    command = [sys.executable, "-m", "benchmarks.peak_memory", sys.executable, *program]
    command += ["refresh_airtable_cache", "--json"]
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.config_resetstat()
        ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        statistics = client.info("commandstats")
    peak, seconds = ended.stderr.split()[-2:]
    report = json.loads(ended.stdout)
    publishing = [statistics.get(f"cmdstat_{name}") for name in ("eval", "zrange", "mget")]
    commands = sum(each["calls"] for each in publishing if each)
    return Refreshed(report["airtable_requests"], float(seconds), int(peak), commands)


def _requests_of_lookups(airtable: Sandbox, numbers: int) -> int:
    """How many requests a lookup for each number takes: the records of the number, of its client,
    of the client's variables, and of each agent's name."""
    api = Api(airtable.token, endpoint_url=airtable.url, timeout=(5, 30))
    api.session.trust_env = False
    base = airtable.base().id
    before = len(airtable.requests)
    for index in range(0, numbers, numbers // SAMPLED_LOOKUPS):
        formula = formulas.match({"twilio_number": number_of(index)})
        (record,) = api.table(base, "twilio_number").all(formula=formula)
        client = api.table(base, "client").get(record["fields"]["client"][0])["fields"]
        api.table(base, "dynamic_variables").get(client["dynamic_variables"][0])
        for agent in client["language_agent_names"]:
            api.table(base, "language_agent_names").get(agent)
    looked_up = len(range(0, numbers, numbers // SAMPLED_LOOKUPS))
    return (len(airtable.requests) - before) * numbers // looked_up
