"""What the status page takes on the server, with 50,000 numbers and a year of runs; and what it
costs the calls that are answered meanwhile."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from benchmarks.load import Load, generator, measure
from benchmarks.results import CONSOLE, Goal, Report, spread
from benchmarks.stage import ROOT, call, serving, stage
from sandbox.airtable.sample import linked_base

NUMBERS, RUNS = 50_000, 365 * 8
SPANS = ("hour", "day", "week")
_FILL = f"""
import json, time
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from airtable_sync.entries import Entry
from airtable_sync.models import Run
from airtable_sync.store import PATIENT
from airtable_sync.telemetry.counting import minutes_name, quarters_name
User.objects.create_superuser("ada", password="bench")
config = {{"customer_name": "John Doe", "preferred_language": "Dutch", "account_type": "premium"}}
now, moment = PATIENT.now(), timezone.now()
numbers = [f"+3246{{place:07}}" for place in range({NUMBERS} - 1)] + ["+32460234291"]
mark = PATIENT.begin()
list(PATIENT.publish([Entry(each, config, now, "refresh") for each in numbers]))
PATIENT.completed(now, mark)
differences = [{{"number": numbers[0], "what": "changed", "fields": {{}}}}] * 200
Run.objects.bulk_create(
    Run(started_at=moment - timedelta(hours=3 * place), by="cron", status="published",
        ended_at=moment - timedelta(hours=3 * place), numbers=len(numbers),
        records={{"customers": len(numbers)}}, details={{"differences": differences}})
    for place in range({RUNS})
)
sources = ("memory", "redis", "stale", "airtable", "default")
tally = {{f"answers|retell|{{each}}": 7 for each in sources}}
tally |= {{f"latency|{{each}}|3": 7 for each in sources}}
minute, said = int(time.time()) // 60, json.dumps(tally)
redis = PATIENT._redis
for each in range(minute - 60, minute + 1):
    redis.hset(PATIENT.raw(minutes_name(each // 60)), each % 60, said)
for each in range(minute - 8 * 1440, minute + 1, 15):
    redis.hset(PATIENT.raw(quarters_name(each // 1440)), each % 1440 // 15, said)
unknown = {{f"+33{{place:09}}": place for place in range(1000)}}
redis.zadd(PATIENT.raw("unknown_called"), {{each: now for each in unknown}})
redis.hset(PATIENT.raw("unknown_times"), mapping=unknown)
"""


def run(report: Report, rounds: int, _: float) -> None:
    with tempfile.TemporaryDirectory() as folder, stage(linked_base()):
        os.environ["DATABASE_URL"] = f"sqlite:///{Path(folder) / 'db.sqlite3'}"
        for arguments in (["migrate"], ["shell", "--no-imports", "-c", _FILL]):
            command = [sys.executable, "manage.py", *arguments]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        with serving() as server:
            _measure(report, server.port, rounds)
        del os.environ["DATABASE_URL"]


def _measure(report: Report, port: int, rounds: int) -> None:
    session, page = requests.Session(), f"http://127.0.0.1:{port}/admin/cache/"
    _log_in(session, page)
    for span in SPANS:
        first = _milliseconds(session, f"{page}?span={span}")
        taken = [_milliseconds(session, f"{page}?span={span}") for _ in range(4 * rounds)]
        what = f"status page, {NUMBERS} numbers, {RUNS} runs, chart of the {span}"
        report.add(Goal(what, "server time", at_most=300, unit="ms"), taken)
        CONSOLE.print(f"The first page of the {span}: {first:.0f} ms")
    alone: list[float] = []
    beside: list[float] = []
    with generator() as client:
        for _ in range(rounds):
            load = Load([call()], 4, 2.0)
            alone.append(client.submit(measure, port, load).result().p99_ms)
            with _open_page(session, page):
                beside.append(client.submit(measure, port, load).result().p99_ms)
    CONSOLE.print(
        f"A hit's p99: {spread(alone, 2)} ms, while the page is open {spread(beside, 2)} ms"
    )


def _log_in(session: requests.Session, page: str) -> None:
    form = session.get(page, timeout=10)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', form.text)
    login = {"username": "ada", "password": "bench"}
    sent = {**login, "csrfmiddlewaretoken": token[1] if token else ""}
    session.post(form.url, data=sent, timeout=10).raise_for_status()


def _milliseconds(session: requests.Session, page: str) -> float:
    started = time.perf_counter()
    response = session.get(page, timeout=10)
    taken = (time.perf_counter() - started) * 1000
    if "verdict-title" not in response.text:
        raise SystemExit("That was not the status page.")
    return taken


@contextlib.contextmanager
def _open_page(session: requests.Session, page: str) -> Iterator[None]:
    """As a browser does that shows it: once a second while a refresh runs."""
    closed = threading.Event()

    def ask() -> None:
        while not closed.wait(1.0):
            session.get(f"{page}?live", timeout=10)

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    closed.set()
    thread.join()
