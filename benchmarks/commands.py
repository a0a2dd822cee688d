"""How many Redis commands a month Siftly needs, where each is billed (Upstash): counted by a real
Valkey for a while, and multiplied."""

import http.client
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import redis
from rich.table import Table

from benchmarks.results import CONSOLE, Report
from benchmarks.stage import NUMBER, call, refresh, serving, stage
from sandbox.airtable.sample import linked_base

MONTH_SECONDS = 30 * 24 * 3600
REFRESHES_A_MONTH = 240
SETTLE_SECONDS, COUNTED_SECONDS = 20.0, 180.0
CALLS_A_SECOND = 5
# https://upstash.com/docs/redis/overall/pricing
FREE, PER_100_000 = 500_000, 0.20
NOT_BILLED = {"auth", "hello", "select", "info", "ping", "quit", "reset", "config", "command"}


@dataclass
class Counted:
    """`sent` by clients; `inside` are the commands that the scripts among them ran."""

    seconds: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)
    inside: int = 0

    @property
    def billed(self) -> int:
        return sum(count for name, count in self.sent.items() if name not in NOT_BILLED)


Row = tuple[str, float, Counted]  # what, how often a month, what it took


def run(_report: Report, _rounds: int, _seconds: float) -> None:
    """What happens once a minute or half minute needs more than seconds to be counted."""
    seconds = COUNTED_SECONDS
    rows: list[Row] = []
    for changes in ("off", "push"):
        with stage(linked_base(), requests_per_second=None):
            os.environ.update(AIRTABLE_CHANGES=changes, PUBLIC_URL="http://127.0.0.1:9")
            rows.append((f"a refresh, changes {changes}", REFRESHES_A_MONTH, _counted(refresh)))
            with serving() as served:
                rows += _of_a_process(served.port, seconds, changes)
    _tell(rows, seconds)


def _of_a_process(port: int, seconds: float, changes: str) -> Iterator[Row]:
    time.sleep(SETTLE_SECONDS)
    idle = _counted(lambda: time.sleep(seconds))
    yield f"a process, idle, changes {changes}", _times(idle), idle
    if changes != "off":
        return
    busy = _counted(lambda: _call_for(port, seconds))
    yield f"a process, {CALLS_A_SECOND} calls a second", _times(busy), busy
    yield "a number nobody knows", 1, _counted(lambda: _call_once(port, "+32470123456"))


def _times(counted: Counted) -> float:
    return MONTH_SECONDS / counted.seconds


def _counted(work: Callable[[], object]) -> Counted:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.ping()
    counted = Counted()
    with _watching(counted):
        client.config_resetstat()
        counted.sent.clear()
        started = time.monotonic()
        work()
        counted.seconds = time.monotonic() - started
        stats = client.info("commandstats")
    total = sum(each["calls"] for name, each in stats.items() if name.split("_", 1)[1] != "config")
    counted.inside = max(0, total - sum(counted.sent.values()))
    client.close()
    return counted


@contextmanager
def _watching(counted: Counted) -> Iterator[None]:
    """MONITOR tells what clients sent; INFO's statistics count what scripts did, too."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    ended = threading.Event()

    def watch() -> None:
        with suppress(redis.ConnectionError), client.monitor() as monitor:  # type: ignore[no-untyped-call]
            for each in monitor.listen():
                if ended.is_set():
                    return
                if each["client_type"] != "lua":
                    counted.sent[each["command"].split()[0].lower()] += 1

    thread = threading.Thread(target=watch, daemon=True)
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
        _call_once(port, NUMBER)
        time.sleep(1 / CALLS_A_SECOND)


def _call_once(port: int, number: str) -> None:
    head, _, body = call(number).partition(b"\r\n\r\n")
    lines = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/webhooks/retell/", body, dict(lines))
    if connection.getresponse().status != 200:
        raise SystemExit("A call was not answered.")
    connection.close()


def _tell(rows: list[Row], seconds: float) -> None:
    table = Table(title=f"Redis commands a month, from {seconds:.0f} s each")
    for column in ("what", "counted", "a month", "with those in scripts", "the most frequent"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, times, counted in rows:
        whole = counted.billed + counted.inside
        frequent = ", ".join(f"{n} {c}" for n, c in counted.sent.most_common(4))
        month = (f"{counted.billed * times:,.0f}", f"{whole * times:,.0f}")
        table.add_row(name, str(counted.billed), *month, frequent)
    note = f"Upstash: {FREE:,} a month are free, then ${PER_100_000:.2f} per 100,000."
    CONSOLE.print(table, note)
