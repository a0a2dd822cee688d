"""How refreshes ended, for /metrics, which asks no database for it."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from airtable_sync.cache.redis_store import TELEMETRY, CacheUnavailable, Store
from airtable_sync.monitoring.metrics import counters, flush
from airtable_sync.redis_client.scripts import fields_of

LAST_RUNS = "last_runs"  # hash: status -> the last run that ended so, as JSON


@dataclass(frozen=True, slots=True)
class RunResult:
    """`status` as in `models.Run`; `ended_at` in seconds since 1970."""

    status: str
    duration_seconds: float
    ended_at: float
    numbers: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    conflicts: int = 0
    invalid: int = 0
    airtable_requests: int = 0


def record(status: str, duration_seconds: float, **figures: int) -> None:
    """A refresh ended in this process, which may end soon, too: what it counted is told now. When
    Redis is away nothing is told, which the refresh itself has said already."""
    counters.run_ended(status, duration_seconds)
    result = RunResult(status, duration_seconds, time.time(), **figures)
    script = 'return redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])'
    with suppress(CacheUnavailable):
        TELEMETRY.run(script, [LAST_RUNS], [status, json.dumps(asdict(result))])
        flush.of_this_process().flush()


def last(store: Store = TELEMETRY) -> dict[str, RunResult]:
    """The last run that ended in each status. Raises CacheUnavailable."""
    (hashed,) = store.ask(("HGETALL", LAST_RUNS))
    return of_hash(hashed)


def of_hash(hashed: dict[bytes, bytes]) -> dict[str, RunResult]:
    return {
        status.decode(): RunResult(**fields_of(raw, RunResult.__slots__))
        for status, raw in hashed.items()
    }
