"""`python -m benchmarks.publish_customers N`: publish N customers of about 420 bytes each, as a
refresh does. In a process of its own, because Django reads the environment once."""

import os
import subprocess
import sys

from benchmarks.environment import ROOT


def publish_customers(count: int) -> None:
    command = [sys.executable, "-m", "benchmarks.publish_customers", str(count)]
    subprocess.run(command, cwd=ROOT, check=True)


def customer_number(index: int) -> str:
    return f"+3247{index:07}"


def _publish(count: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "siftly.settings"
    import django

    django.setup()
    from airtable_sync.cache.entry import Entry
    from airtable_sync.cache.entry_set import EntrySet
    from airtable_sync.cache.publish_target import Publication
    from airtable_sync.services import services

    target = services().target
    now = target.now()
    entries = [
        Entry(customer_number(index), _config(index), now, "refresh", {}, (f"rec{index:014}",))
        for index in range(count)
    ]
    for _ in target.publish(Publication(EntrySet.of(entries, now, "refresh"), "benchmarks")):
        pass


def _config(index: int) -> dict[str, str]:
    return {f"variable_{each}": f"the variable of {index}" for each in range(6)}


if __name__ == "__main__":
    _publish(int(sys.argv[1]))
