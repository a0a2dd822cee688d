"""`python -m benchmarks.measurements.status_page_data`: publish 50,000 numbers, and write a year of
runs, a week of metrics, 1,000 unknown numbers and a superuser. In a process of its own, because
Django reads the environment once."""

import json
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airtable_sync.services import Services

NUMBERS, RUNS = 50_000, 365 * 8
USER, PASSWORD = "ada", "bench"
CONFIG = {"customer_name": "John Doe", "preferred_language": "Dutch", "account_type": "premium"}
SOURCES = ("memory", "redis", "stale", "airtable", "default")


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "siftly.settings"
    import django

    django.setup()
    from django.contrib.auth.models import User

    from airtable_sync.services import services

    User.objects.create_superuser(USER, password=PASSWORD)
    _publish(services())
    _create_runs()
    _write_metrics(services())


def _numbers() -> list[str]:
    return [f"+3246{index:07}" for index in range(NUMBERS - 1)] + ["+32460234291"]


def _publish(services: "Services") -> None:
    from airtable_sync.cache.entry import Entry
    from airtable_sync.cache.entry_set import EntrySet
    from airtable_sync.cache.publish_target import Publication

    now = services.target.now()
    entries = [Entry(number, CONFIG, now, "refresh") for number in _numbers()]
    for _ in services.target.publish(
        Publication(EntrySet.of(entries, now, "refresh"), "benchmarks")
    ):
        pass


def _create_runs() -> None:
    from django.utils import timezone

    from airtable_sync.models import Run

    now = timezone.now()
    differences = [{"number": _numbers()[0], "kind": "changed", "fields": {}}] * 200
    Run.objects.bulk_create(
        Run(
            started_at=now - timedelta(hours=3 * index),
            ended_at=now - timedelta(hours=3 * index),
            trigger=Run.Trigger.CRON,
            status=Run.Status.PUBLISHED,
            numbers=NUMBERS,
            records={"customers": NUMBERS},
            details={"differences": differences},
        )
        for index in range(RUNS)
    )


def _write_metrics(services: "Services") -> None:
    """Straight into Redis, as `counts.lua` would over a week."""
    import redis

    from airtable_sync.monitoring.calls.unknown_numbers import CALLS_KEY, LAST_CALLED_KEY
    from airtable_sync.monitoring.export.unflushed_counts import day_key, hour_key

    tally = json.dumps(
        {f"calls|retell|{source}": 7 for source in SOURCES}
        | {f"latency|{source}|3": 7 for source in SOURCES}
    )
    key = services.command_store.full_key
    client: Any = redis.Redis.from_url(os.environ["REDIS_URL"])
    now = int(time.time()) // 60
    for minute in range(now - 60, now + 1):
        client.hset(key(hour_key(minute // 60)), minute % 60, tally)
    for minute in range(now - 8 * 1440, now + 1, 15):
        client.hset(key(day_key(minute // 1440)), minute % 1440 // 15, tally)
    unknown = {f"+33{index:09}": index for index in range(1000)}
    client.zadd(key(LAST_CALLED_KEY), dict.fromkeys(unknown, services.target.now()))
    client.hset(key(CALLS_KEY), mapping=unknown)


if __name__ == "__main__":
    main()
