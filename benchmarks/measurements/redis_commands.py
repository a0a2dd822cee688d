"""How many Redis commands Siftly needs a month, for services that charge for each (Upstash).
Counted on a real Valkey for some minutes, and extrapolated."""

import http.client
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import redis
from rich.table import Table

from benchmarks.environment import environment, refresh
from benchmarks.results import CONSOLE, Report
from benchmarks.retell_calls import KEY, NUMBER, PATH, retell
from benchmarks.server_process import serving
from sandbox.airtable.sample.bases import linked_base

MONTH_SECONDS = 30 * 24 * 3600
REFRESHES_A_MONTH = 240
# Long enough for what happens once a minute or half minute.
SETTLE_SECONDS, COUNTED_SECONDS = 20.0, 180.0
CALLS_A_SECOND = 5
# https://upstash.com/docs/redis/overall/pricing
FREE, PER_100_000 = 500_000, 0.20
NOT_BILLED = {"auth", "hello", "select", "info", "ping", "quit", "reset", "config", "command"}


@dataclass
class Counted:
    """`sent`: commands from clients. `in_scripts`: commands that the scripts among them ran."""

    seconds: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)
    in_scripts: int = 0

    @property
    def billed(self) -> int:
        return sum(count for name, count in self.sent.items() if name not in NOT_BILLED)


Row = tuple[str, float, Counted]  # what, how often a month, the commands


def run(_report: Report, _rounds: int, _seconds: float) -> None:
    rows: list[Row] = []
    for changes in ("off", "push"):
        with environment(linked_base(), requests_per_second=None):
            os.environ.update(AIRTABLE_CHANGES=changes, PUBLIC_URL="http://127.0.0.1:9")
            rows.append((f"a refresh, changes {changes}", REFRESHES_A_MONTH, _counted(refresh)))
            with serving() as server:
                rows += _rows_of_a_process(server.port, changes)
    _print_table(rows)


def _rows_of_a_process(port: int, changes: str) -> Iterator[Row]:
    time.sleep(SETTLE_SECONDS)
    idle = _counted(lambda: time.sleep(COUNTED_SECONDS))
    yield f"a process, idle, changes {changes}", _times_a_month(idle), idle
    if changes != "off":
        return
    busy = _counted(lambda: _call_for(port, COUNTED_SECONDS))
    yield f"a process, {CALLS_A_SECOND} calls a second", _times_a_month(busy), busy
    yield "a call of an unknown number", 1, _counted(lambda: _call(port, "+32470123456"))


def _times_a_month(counted: Counted) -> float:
    return MONTH_SECONDS / counted.seconds


def _counted(work: Callable[[], object]) -> Counted:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.ping()
    counted = Counted()
    with _counting_sent(counted):
        client.config_resetstat()
        counted.sent.clear()
        started = time.monotonic()
        work()
        counted.seconds = time.monotonic() - started
        stats = client.info("commandstats")
    total = sum(each["calls"] for name, each in stats.items() if name.split("_", 1)[1] != "config")
    counted.in_scripts = max(0, total - sum(counted.sent.values()))
    client.close()
    return counted


@contextmanager
def _counting_sent(counted: Counted) -> Iterator[None]:
    """MONITOR shows what clients sent. The statistics of INFO also count what scripts did."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    ended = threading.Event()

    def count() -> None:
        with suppress(redis.ConnectionError), cast("Any", client).monitor() as monitor:
            for each in monitor.listen():
                if ended.is_set():
                    return
                if each["client_type"] != "lua":
                    counted.sent[each["command"].split()[0].lower()] += 1

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    time.sleep(0.3)
    yield
    ended.set()
    client.ping()
    thread.join(5)
    client.close()


def _call_for(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _call(port, NUMBER)
        time.sleep(1 / CALLS_A_SECOND)


def _call(port: int, number: str) -> None:
    call = retell().outgoing_call(number, KEY, "")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", PATH, call.body, dict(call.headers))
    if connection.getresponse().status != 200:
        raise SystemExit("A call was not answered.")
    connection.close()


def _print_table(rows: list[Row]) -> None:
    table = Table(title=f"Redis commands a month, counted for {COUNTED_SECONDS:.0f} s each")
    for column in ("what", "counted", "a month", "with those in scripts", "most frequent"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, times, counted in rows:
        with_scripts = counted.billed + counted.in_scripts
        frequent = ", ".join(f"{n} {c}" for n, c in counted.sent.most_common(4))
        month = (f"{counted.billed * times:,.0f}", f"{with_scripts * times:,.0f}")
        table.add_row(name, str(counted.billed), *month, frequent)
    note = f"Upstash: {FREE:,} a month are free, then ${PER_100_000:.2f} per 100,000."
    CONSOLE.print(table, note)
