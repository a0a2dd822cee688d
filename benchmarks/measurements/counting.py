"""What metrics cost: recording a call, and finding the known number that is closest to an unknown
one."""

import os
import random
import time

from benchmarks.results import CONSOLE, Report, spread

CALLS, KNOWN_NUMBERS = 9_000, 50_000


def run(_: Report, rounds: int, __: float) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    import django

    django.setup()
    times = [_microseconds_per_call() for _ in range(4 * rounds)]
    CONSOLE.print(f"Recording a call: {spread(times, 1)} µs")
    milliseconds = _milliseconds_of_search()
    CONSOLE.print(f"A number that is close to none of {KNOWN_NUMBERS}: {milliseconds:.0f} ms")


def _microseconds_per_call() -> float:
    from airtable_sync.cache.entry import Entry
    from airtable_sync.lookup.answer import Answer
    from airtable_sync.monitoring.calls.recorder import CallRecorder
    from airtable_sync.monitoring.metrics.counters import Counters
    from airtable_sync.services import services

    config = {"customer_name": "John Doe"}
    entry = Entry("+32460234291", config, int(time.time() * 1000), "refresh")
    answer = Answer(entry.number, True, config, {}, "memory", {}, entry)
    recorder = CallRecorder(Counters(), services().replica)
    started = time.perf_counter()
    for _ in range(CALLS):
        recorder.record(answer, "retell", "", 0.0002)
    return (time.perf_counter() - started) / CALLS * 1e6


def _milliseconds_of_search() -> float:
    from airtable_sync.monitoring.calls.closest_number import closest_number

    digits = random.Random(7)
    known = {f"+324{digits.randrange(10**8):08d}" for _ in range(KNOWN_NUMBERS)}
    started = time.perf_counter()
    closest_number("+19995551234", known)
    return (time.perf_counter() - started) * 1000
