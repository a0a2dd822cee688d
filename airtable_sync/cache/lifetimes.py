"""How long entries are fresh, and how long they may be served."""

import zlib
from dataclasses import dataclass

from airtable_sync.cache.entry import EncodedEntry, Entry

# An "unknown" entry stays as a tombstone, so that an older reading (of a slow refresh, say) cannot
# bring a removed number back. A refresh that takes longer extends it (`refresh/tombstones.py`).
TOMBSTONE_SECONDS = 30 * 60


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """All moments are milliseconds by Redis' clock. `confirmed_at` is when all of Airtable was last
    read, or confirmed unchanged: it extends the freshness of every known entry."""

    ttl_seconds: float
    stale_seconds: float
    negative_seconds: float
    tombstone_seconds: float = TOMBSTONE_SECONDS

    def is_fresh(self, entry: Entry, now: int, confirmed_at: int = 0) -> bool:
        if entry.is_known:
            return self.is_known_fresh(entry.read_at, entry.override_until, now, confirmed_at)
        return entry.age_seconds(now) < self.fresh_seconds(entry)

    def is_known_fresh(
        self, read_at: int, override_until: int, now: int, confirmed_at: int
    ) -> bool:
        """The same for a known number, from the values that decide it. The hot path uses this."""
        if override_until:  # a reading of Airtable does not extend an override
            return now < override_until
        return now - max(read_at, confirmed_at) < self.ttl_seconds * 1000

    def is_expired(self, entry: Entry, now: int, confirmed_at: int = 0) -> bool:
        """Whether an entry is too old to be served, even while Airtable does not answer."""
        read_at = max(entry.read_at, entry.override_until)
        return self.is_reading_expired(read_at, now, confirmed_at, is_known=entry.is_known)

    def is_servable(self, entry: Entry, now: int, confirmed_at: int = 0) -> bool:
        """Whether a known entry is fresh, or stale but not expired."""
        return entry.is_known and not self.is_expired(entry, now, confirmed_at)

    def is_reading_expired(
        self, read_at: int, now: int, confirmed_at: int, *, is_known: bool
    ) -> bool:
        last = max(read_at, confirmed_at) if is_known else read_at
        return now - last >= self.reading_seconds(is_known=is_known) * 1000

    def fresh_seconds(self, entry: Entry) -> float:
        """How long an entry is fresh. Unknown numbers vary by a tenth, so that those which were
        read together (a scan, a campaign) do not expire together."""
        if entry.override_until:
            return entry.override_seconds
        if entry.is_known:
            return self.ttl_seconds
        jitter = 0.9 + 0.2 * (zlib.crc32(entry.number.encode()) % 1000) / 1000
        return self.negative_seconds * jitter

    def total_seconds(self, entry: Entry | EncodedEntry) -> float:
        """How long Redis keeps an entry: while it is fresh, and while it may be served stale."""
        return self.reading_seconds(is_known=entry.is_known) + entry.override_seconds

    def reading_seconds(self, *, is_known: bool) -> float:
        if is_known:
            return self.ttl_seconds + self.stale_seconds
        return max(1.1 * self.negative_seconds, self.tombstone_seconds)
