"""The server's time for the status page with 50,000 numbers and a year of runs, and how much an
open page delays calls."""

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

from benchmarks.environment import ROOT, environment, manage
from benchmarks.load import Load, load_generator, measure
from benchmarks.measurements.status_page_data import NUMBERS, PASSWORD, RUNS, USER
from benchmarks.results import CONSOLE, Goal, Report, spread
from benchmarks.retell_calls import call_bytes
from benchmarks.server_process import serving
from sandbox.airtable.sample.bases import linked_base

SPANS = ("hour", "day", "week")


def run(report: Report, rounds: int, _: float) -> None:
    with tempfile.TemporaryDirectory() as folder, environment(linked_base()):
        os.environ["DATABASE_URL"] = f"sqlite:///{Path(folder) / 'db.sqlite3'}"
        manage("migrate")
        command = [sys.executable, "-m", "benchmarks.measurements.status_page_data"]
        subprocess.run(command, cwd=ROOT, check=True)
        with serving() as server:
            _measure(report, server.port, rounds)
        del os.environ["DATABASE_URL"]


def _measure(report: Report, port: int, rounds: int) -> None:
    session, page = requests.Session(), f"http://127.0.0.1:{port}/admin/cache/"
    _log_in(session, page)
    for span in SPANS:
        first = _milliseconds(session, f"{page}?span={span}")
        times = [_milliseconds(session, f"{page}?span={span}") for _ in range(4 * rounds)]
        what = f"status page, {NUMBERS} numbers, {RUNS} runs, chart of the {span}"
        report.add(Goal(what, "server time", at_most=150, unit="ms"), times)
        CONSOLE.print(f"The first page with the chart of the {span}: {first:.0f} ms")
    _measure_calls(session, page, port, rounds)


def _measure_calls(session: requests.Session, page: str, port: int, rounds: int) -> None:
    alone: list[float] = []
    beside: list[float] = []
    with load_generator() as client:
        for _ in range(rounds):
            load = Load([call_bytes()], 4, 2.0)
            alone.append(client.submit(measure, port, load).result().p99_ms)
            with _open_page(session, page):
                beside.append(client.submit(measure, port, load).result().p99_ms)
    CONSOLE.print(
        f"p99 of a hit: {spread(alone, 2)} ms, while the page is open {spread(beside, 2)} ms"
    )


def _log_in(session: requests.Session, page: str) -> None:
    form = session.get(page, timeout=10)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', form.text)
    login = {"username": USER, "password": PASSWORD}
    data = {**login, "csrfmiddlewaretoken": token[1] if token else ""}
    session.post(form.url, data=data, timeout=10).raise_for_status()


def _milliseconds(session: requests.Session, page: str) -> float:
    started = time.perf_counter()
    response = session.get(page, timeout=10)
    milliseconds = (time.perf_counter() - started) * 1000
    if "verdict-title" not in response.text:
        raise SystemExit("The response is not the status page.")
    return milliseconds


@contextlib.contextmanager
def _open_page(session: requests.Session, page: str) -> Iterator[None]:
    """Update the page once a second, as a browser does during a refresh."""
    closed = threading.Event()

    def update() -> None:
        while not closed.wait(1.0):
            session.get(f"{page}?live", timeout=10)

    thread = threading.Thread(target=update)
    thread.start()
    yield
    closed.set()
    thread.join()
