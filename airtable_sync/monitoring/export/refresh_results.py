"""The last refresh of each status, in Redis for /metrics, which asks no database."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from airtable_sync.cache.processes import known_fields
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.monitoring.export.flush import MetricsFlusher
from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.refresh.report import Report

LAST_RUNS_KEY = "last_runs"  # hash: status -> the last run with this status, as JSON
_SAVE = 'return redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])'


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """`status` as in `models.Run`; `ended_at` in seconds since 1970."""

    status: str
    duration_seconds: float
    ended_at: float
    numbers: int = 0
    conflicts: int = 0
    invalid: int = 0


class RefreshResults:
    def __init__(self, store: RedisStore, counters: Counters, flusher: MetricsFlusher) -> None:
        self._store = store
        self._counters = counters
        self._flusher = flusher

    def run_ended(self, report: Report, seconds: float) -> None:
        """Flushes at once: the process of a command ends soon. While Redis is down, nothing is
        saved; the refresh itself has reported that already."""
        self._counters.run_ended(report.status, seconds)
        result = RefreshResult(
            report.status,
            seconds,
            time.time(),
            numbers=report.numbers,
            conflicts=len(report.conflicts),
            invalid=len(report.invalid),
        )
        with suppress(CacheUnavailable):
            arguments = [report.status, json.dumps(asdict(result))]
            self._store.run_script(_SAVE, [LAST_RUNS_KEY], arguments)
            self._flusher.flush()


def decode_results(hashed: dict[bytes, bytes]) -> dict[str, RefreshResult]:
    """Status -> the last run with this status."""
    return {
        status.decode(): RefreshResult(**known_fields(raw, RefreshResult.__slots__))
        for status, raw in hashed.items()
    }
