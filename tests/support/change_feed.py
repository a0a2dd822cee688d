"""A base whose change feed is followed in this process, and what calls would be told."""

from airtable_sync.airtable.client import REFRESH_LIMITS, Airtable
from airtable_sync.cache.redis_store import PATIENT, REPLICA
from airtable_sync.cache.replica import Replica
from airtable_sync.changes.apply import Feed
from tests.support.cast import NUMBER


class Followed:
    """In step from the beginning: the hook exists, everything was read once."""

    def __init__(self) -> None:
        self.replica = Replica(REPLICA)
        self.feed = Feed(PATIENT, self.replica, Airtable(REFRESH_LIMITS))
        self.drain()

    def drain(self) -> dict[str, int]:
        outcomes = self.feed.drain()
        self.replica.sync()
        return {name: count for name, count in outcomes.items() if count}

    def config(self, number: str = NUMBER) -> dict[str, str] | None:
        entry = self.replica.get(number)
        return entry.config if entry else None
