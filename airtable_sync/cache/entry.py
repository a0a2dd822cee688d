"""An entry: what is known of one called number, and where that knowledge comes from."""

import hashlib
import json
import logging
import sys
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

from django.conf import settings

from siftly.constant import constant

logger = logging.getLogger(__name__)

Reader = Literal["refresh", "change", "lookup", "rollback", "pin"]

# An "unknown" entry outlives its freshness, so that no older reading (a slow refresh, say) brings a
# removed number back. Longer than the slowest refresh: 150,000 records take five minutes.
TOMBSTONE_SECONDS = 30 * 60


@dataclass(frozen=True, slots=True)
class Entry:
    """`config` is None for a number that Airtable does not have: "unknown".

    `read_at` is when its data was asked for at Airtable, in milliseconds by Redis' clock: of two
    readings the one asked for later is the newer one, whichever arrives last. What an operator set
    by hand, a pin, wins over all of them until `override_until` (ms; 0 for what is no pin).
    """

    number: str
    config: dict[str, str] | None
    read_at: int
    by: Reader
    settings: dict[str, str] = field(default_factory=dict)
    records: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    override_until: int = 0

    @property
    def known(self) -> bool:
        return self.config is not None

    @property
    def is_dropped(self) -> bool:
        """An operator wants Airtable to be asked."""
        return self.by == "pin" and not self.known

    @property
    def fresh_seconds(self) -> float:
        """How long it is fresh. Unknown numbers that were asked for together (a scan, a campaign)
        do not expire together: a tenth more or less, by the number."""
        if self.override_until:
            return self._held_seconds
        if self.known:
            return float(settings.CACHE_TTL_SECONDS)
        jitter = 0.9 + 0.2 * (zlib.crc32(self.number.encode()) % 1000) / 1000
        return float(settings.CACHE_NEGATIVE_SECONDS) * jitter

    @property
    def lifetime_seconds(self) -> float:
        """How long Redis keeps it: while fresh, and while it may still be served stale."""
        return lifetime_seconds(known=self.known) + self._held_seconds

    @property
    def _held_seconds(self) -> float:
        return max(0.0, (self.override_until - self.read_at) / 1000)

    def age_seconds(self, now: int, confirmed_at: int = 0) -> float:
        """Since its data was asked for, or confirmed by a reading of all of Airtable, which was
        asked for at `confirmed_at`. Times are in milliseconds by Redis' clock."""
        confirmed_at = max(self.read_at, confirmed_at) if self.known else self.read_at
        return max(0.0, (now - confirmed_at) / 1000)

    def is_fresh(self, now: int, confirmed_at: int = 0) -> bool:
        if self.known:
            return is_fresh(self.read_at, self.override_until, now, confirmed_at)
        return self.age_seconds(now) < self.fresh_seconds

    def is_expired(self, now: int, confirmed_at: int = 0) -> bool:
        read_at = max(self.read_at, self.override_until)
        return is_expired(read_at, now, confirmed_at, known=self.known)

    def digest(self) -> str:
        """Equal for entries that say the same, whoever read them and when."""
        said = json.dumps([self.config, self.settings], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        return json.dumps(self.as_json()).encode()

    def as_json(self) -> dict[str, Any]:
        """The value in the cache. The script that writes it reads config, read_at, digest, by and
        override_until."""
        held = {"override_until": self.override_until} if self.override_until else {}
        return {
            "config": self.config,
            "settings": self.settings,
            "read_at": self.read_at,
            "by": self.by,
            "records": list(self.records),
            "warnings": list(self.warnings),
            "digest": self.digest(),
            **held,
        }


def is_fresh(read_at: int, override_until: int, now: int, confirmed_at: int) -> bool:
    """Whether what is known of a number is fresh. Times in ms."""
    if override_until:  # of a pin a reading of all of Airtable says nothing
        return now < override_until
    return now - max(read_at, confirmed_at) < _fresh_ms()


@constant
def _fresh_ms() -> int:
    return int(settings.CACHE_TTL_SECONDS * 1000)


def is_expired(read_at: int, now: int, confirmed_at: int, *, known: bool) -> bool:
    """Whether a reading is too old to be served, even while Airtable is away. Times in ms."""
    confirmed_at = max(read_at, confirmed_at) if known else read_at
    return now - confirmed_at >= lifetime_seconds(known=known) * 1000


def lifetime_seconds(*, known: bool) -> float:
    if known:
        return float(settings.CACHE_TTL_SECONDS + settings.CACHE_STALE_SECONDS)
    return max(1.1 * settings.CACHE_NEGATIVE_SECONDS, TOMBSTONE_SECONDS)


def from_bytes(number: str, raw: bytes) -> Entry | None:
    """The entry in the bytes that Redis keeps (plain JSON: a check sees to that); None, with a line
    in the log, if they hold something else."""
    try:
        return decoded(number, raw)
    except (ValueError, RecursionError) as error:
        warn_of_foreign_value(number, error)
        return None


def decoded(number: str, raw: bytes) -> Entry:
    """Raises ValueError, and RecursionError."""
    return from_json(number, json.loads(raw))


# For numbers that ring often: some 2 KB each, 8 MB at most (docs/decisions.md).
recently_decoded = lru_cache(maxsize=4096)(decoded)


def warn_of_foreign_value(number: str, error: Exception) -> None:
    logger.warning("The cached value of %s counts as a miss: %s", number, error)


def from_json(number: str, value: Any) -> Entry:
    """The entry behind a cached value. Raises ValueError if it is none."""
    try:
        config, own = value["config"], value["settings"]
        entry = Entry(
            number=number,
            config=None if config is None else _strings(config),
            read_at=int(value["read_at"]),
            by=cast("Reader", str(value["by"])),
            settings=_strings(own),
            records=tuple(map(str, value["records"])),
            warnings=tuple(map(str, value["warnings"])),
            override_until=int(value.get("override_until", 0)),
        )
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"it is no entry of this version ({error!r})") from error
    return entry


def _strings(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("it holds something else than strings")
    # All customers have variables of the same names: kept once, as many as there are dictionaries.
    return {sys.intern(name): text for name, text in value.items()}
