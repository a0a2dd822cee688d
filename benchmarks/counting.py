"""What telemetry costs: a call, which it shall not slow down, and the search for a near number."""

import os
import random
import time

from benchmarks.results import CONSOLE, Report, spread

COUNTED, KNOWN = 9_000, 50_000


def run(_: Report, rounds: int, __: float) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
    import django

    django.setup()
    answers = [_microseconds_an_answer() for _ in range(4 * rounds)]
    CONSOLE.print(f"Counting an answer: {spread(answers, 1)} µs")
    CONSOLE.print(f"A number near to none of {KNOWN}: {_milliseconds_a_search():.0f} ms")


def _microseconds_an_answer() -> float:
    from airtable_sync.cache.entry import Entry
    from airtable_sync.lookup.answerer import Answer
    from airtable_sync.monitoring import calls
    from airtable_sync.monitoring.calls.recorder import waiting

    config = {"customer_name": "John Doe"}
    entry = Entry("+32460234291", config, int(time.time() * 1000), "refresh")
    answer = Answer(entry.number, True, config, {}, "memory", {}, entry)
    waiting.clear()
    started = time.perf_counter()
    for _ in range(COUNTED):
        calls.answered(answer, "retell", "", 0.0002)
    return (time.perf_counter() - started) / COUNTED * 1e6


def _milliseconds_a_search() -> float:
    from airtable_sync.monitoring.calls.closest_number import nearest

    digits = random.Random(7)
    known = {f"+324{digits.randrange(10**8):08d}" for _ in range(KNOWN)}
    started = time.perf_counter()
    nearest("+19995551234", known)
    return (time.perf_counter() - started) * 1000
