"""A refresh of a large base: requests, time, memory and Redis commands, and how many requests the
old way takes, a lookup for each number."""

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

from benchmarks.results import Report
from benchmarks.stage import ROOT, stage
from sandbox.airtable.large import large_base, number_of
from sandbox.airtable.server import Sandbox

PAGE = 100
PAGE_SECONDS = 0.05  # what Airtable takes for a page
LIMIT = 5  # requests a second
NUMBERS = 50_000
LIMITED_NUMBERS = 10_000  # under the rate limit: they take a minute
LOOKED_UP_THE_OLD_WAY = 30  # the others take as many requests each

_UNLIMITED = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "siftly.settings"
from airtable_sync import budget
from django.core.management import execute_from_command_line
budget.STARTS = 1_000
execute_from_command_line(sys.argv)
"""


@dataclass(frozen=True)
class Refreshed:
    requests: int
    seconds: float  # from the start of the process to its end
    peak_mib: int
    commands: int  # to Redis, for the publication


def run(_: Report, __: int, ___: float) -> None:
    """Once: rounds would take many minutes."""
    table = Table(title="A refresh of four linked tables, three records a number")
    table.add_column("")
    for column in ("goal", "measured"):
        table.add_column(column, justify="right")
    _unlimited(table, NUMBERS)
    table.add_section()
    _limited(table, LIMITED_NUMBERS)
    Console(width=110).print(table)


def _unlimited(table: Table, numbers: int) -> None:
    base = large_base(numbers)
    with stage(base, requests_per_second=None) as airtable:
        first, second = _refresh("-c", _UNLIMITED), _refresh("-c", _UNLIMITED)
        old = _old_way(airtable, numbers)
    least = sum(math.ceil(len(each.records) / PAGE) for each in base.tables)
    records = sum(len(each.records) for each in base.tables)
    most = f"{numbers / 400:.0f}"
    for row in (
        (
            f"{numbers:,} numbers, {records:,} records: requests",
            f"{least:,}",
            f"{first.requests:,}",
        ),
        ("  the old way", f"> {50 * least:,}", f"{old:,}, {old / first.requests:.0f} times"),
        ("  seconds without a rate limit", "60", f"{first.seconds:.1f}"),
        ("  the same again, where nothing changed", "60", f"{second.seconds:.1f}"),
        ("  peak memory, MiB", "400", f"{first.peak_mib}; {second.peak_mib}"),
        ("  Redis commands of the publication", most, f"{first.commands}; {second.commands}"),
    ):
        table.add_row(*row)


def _limited(table: Table, numbers: int) -> None:
    with stage(large_base(numbers), latency=PAGE_SECONDS) as airtable:
        refreshed = _refresh("manage.py")
        refused = sum(each.status == 429 for each in airtable.requests)
    bound = refreshed.requests / LIMIT
    ratio = f"{refreshed.seconds:.1f}, {refreshed.seconds / bound:.3f} times {bound:.0f}"
    table.add_row(f"{numbers:,} numbers, five requests a second: seconds", "1.1 times", ratio)
    table.add_row("  refused (429)", "0", f"{refused}")


def _refresh(*program: str) -> Refreshed:
    command = [sys.executable, "-m", "benchmarks.peak", sys.executable, *program]
    command += ["refresh_airtable_cache", "--json"]
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.config_resetstat()
        ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        statistics = client.info("commandstats")
    peak, seconds = ended.stderr.split()[-2:]
    said = json.loads(ended.stdout)
    publishing = [statistics.get(f"cmdstat_{name}") for name in ("eval", "zrange", "mget")]
    commands = sum(each["calls"] for each in publishing if each)
    return Refreshed(said["airtable_requests"], float(seconds), int(peak), commands)


def _old_way(airtable: Sandbox, numbers: int) -> int:
    """How many requests a lookup for each number takes: the number's record, its client's, that
    one's variables and each agent's name."""
    api = Api(airtable.token, endpoint_url=airtable.url, timeout=(5, 30))
    api.session.trust_env = False
    base = airtable.base().id
    before = len(airtable.requests)
    for index in range(0, numbers, numbers // LOOKED_UP_THE_OLD_WAY):
        is_it = formulas.match({"twilio_number": number_of(index)})
        (row,) = api.table(base, "twilio_number").all(formula=is_it)
        client = api.table(base, "client").get(row["fields"]["client"][0])["fields"]
        api.table(base, "dynamic_variables").get(client["dynamic_variables"][0])
        for agent in client["language_agent_names"]:
            api.table(base, "language_agent_names").get(agent)
    looked_up = len(range(0, numbers, numbers // LOOKED_UP_THE_OLD_WAY))
    return (len(airtable.requests) - before) * numbers // looked_up
