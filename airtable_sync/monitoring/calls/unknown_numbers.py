"""Numbers that were called and are not known: the commonest human error in Airtable."""

from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync.cache.redis_store import TELEMETRY, Store
from airtable_sync.monitoring.metrics.unflushed_counts import UNKNOWN_CALLED, UNKNOWN_TIMES
from airtable_sync.redis_client.scripts import with_scores


@dataclass(frozen=True, slots=True)
class UnknownNumber:
    number: str
    times: int
    last_called_at: datetime


def called(limit: int = 1000, store: Store = TELEMETRY) -> list[UnknownNumber]:
    """Those called last come first. One that Airtable has by now is among them all the same. Raises
    CacheUnavailable."""
    numbers, times = store.ask(
        ("ZREVRANGE", UNKNOWN_CALLED, 0, limit - 1, "WITHSCORES"), ("HGETALL", UNKNOWN_TIMES)
    )
    return [
        UnknownNumber(
            number.decode(),
            int(times.get(number, 1)),
            datetime.fromtimestamp(last / 1000, UTC),
        )
        for number, last in with_scores(numbers)
    ]


def erase(number: str, store: Store = TELEMETRY) -> None:
    """Forget that a number was called. Raises CacheUnavailable."""
    script = 'redis.call("ZREM", KEYS[1], ARGV[1]) return redis.call("HDEL", KEYS[2], ARGV[1])'
    store.run(script, [UNKNOWN_CALLED, UNKNOWN_TIMES], [number])
