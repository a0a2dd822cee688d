"""Numbers that were called and are unknown: the most frequent mistake in Airtable."""

from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.redis_client.scripts import pairs_with_scores

LAST_CALLED_KEY, CALLS_KEY = "unknown_last_called", "unknown_calls"
NUMBERS_KEPT = 1000
_ERASE = 'redis.call("ZREM", KEYS[1], ARGV[1]) return redis.call("HDEL", KEYS[2], ARGV[1])'


@dataclass(frozen=True, slots=True)
class UnknownNumber:
    number: str
    calls: int
    last_called_at: datetime


class UnknownNumbers:
    """Every method raises CacheUnavailable."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def called(self, limit: int = NUMBERS_KEPT) -> list[UnknownNumber]:
        """The last called ones first. A number that Airtable has by now is still listed."""
        numbers, calls = self._store.read_all(
            ("ZREVRANGE", LAST_CALLED_KEY, 0, limit - 1, "WITHSCORES"), ("HGETALL", CALLS_KEY)
        )
        return [
            UnknownNumber(
                number.decode(),
                int(calls.get(number, 1)),
                datetime.fromtimestamp(last / 1000, UTC),
            )
            for number, last in pairs_with_scores(numbers)
        ]

    def erase(self, number: str) -> None:
        self._store.run_script(_ERASE, [LAST_CALLED_KEY, CALLS_KEY], [number])
