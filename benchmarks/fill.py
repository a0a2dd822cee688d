"""`python -m benchmarks.fill N`: publish so many customers, of some 420 bytes each, as a refresh
does. In a process of its own, for Django's settings are read once."""

import os
import subprocess
import sys

from benchmarks.stage import ROOT


def fill(numbers: int) -> None:
    subprocess.run([sys.executable, "-m", "benchmarks.fill", str(numbers)], cwd=ROOT, check=True)


def number(index: int) -> str:
    return f"+3247{index:07}"


def _publish(numbers: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "siftly.settings"
    import django

    django.setup()
    from airtable_sync.cache.entry import Entry
    from airtable_sync.cache.redis_store import PATIENT

    now = PATIENT.now()
    entries = [
        Entry(number(index), _config(index), now, "refresh", {}, (f"rec{index:014}",))
        for index in range(numbers)
    ]
    mark = PATIENT.begin()
    list(PATIENT.publish(entries))
    PATIENT.completed(now, mark, "benchmarks")


def _config(index: int) -> dict[str, str]:
    return {f"variable_{each}": f"what is said of {index}" for each in range(6)}


if __name__ == "__main__":
    _publish(int(sys.argv[1]))
