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

    `asked_at` is when its data was asked for at Airtable, in milliseconds by Redis' clock: of two
    readings the one asked for later is the newer one, whichever arrives last. What an operator set
    by hand, a pin, wins over all of them until `held_until` (ms; 0 for what is no pin).
    """

    number: str
    config: dict[str, str] | None
    asked_at: int
    by: Reader
    settings: dict[str, str] = field(default_factory=dict)
    records: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    held_until: int = 0

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
        if self.held_until:
            return self._held_seconds
        if self.known:
            return float(settings.CACHE_TTL_SECONDS)
        jitter = 0.9 + 0.2 * (zlib.crc32(self.number.encode()) % 1000) / 1000
        return float(settings.CACHE_NEGATIVE_SECONDS) * jitter

    @property
    def life_seconds(self) -> float:
        """How long Redis keeps it: while fresh, and while it may still be served stale."""
        return life_seconds(known=self.known) + self._held_seconds

    @property
    def _held_seconds(self) -> float:
        return max(0.0, (self.held_until - self.asked_at) / 1000)

    def age_seconds(self, now: int, complete_at: int = 0) -> float:
        """Since its data was asked for, or confirmed by a reading of all of Airtable, which was
        asked for at `complete_at`. Times are in milliseconds by Redis' clock."""
        confirmed_at = max(self.asked_at, complete_at) if self.known else self.asked_at
        return max(0.0, (now - confirmed_at) / 1000)

    def is_fresh(self, now: int, complete_at: int = 0) -> bool:
        if self.known:
            return is_fresh(self.asked_at, self.held_until, now, complete_at)
        return self.age_seconds(now) < self.fresh_seconds

    def is_over(self, now: int, complete_at: int = 0) -> bool:
        asked_at = max(self.asked_at, self.held_until)
        return is_over(asked_at, now, complete_at, known=self.known)

    def digest(self) -> str:
        """Equal for entries that say the same, whoever read them and when."""
        said = json.dumps([self.config, self.settings], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        return json.dumps(self.as_json()).encode()

    def as_json(self) -> dict[str, Any]:
        """The value in the cache. The script that writes it reads config, asked_at, digest, by and
        held_until."""
        held = {"held_until": self.held_until} if self.held_until else {}
        return {
            "config": self.config,
            "settings": self.settings,
            "asked_at": self.asked_at,
            "by": self.by,
            "records": list(self.records),
            "warnings": list(self.warnings),
            "digest": self.digest(),
            **held,
        }


def is_fresh(asked_at: int, held_until: int, now: int, complete_at: int) -> bool:
    """Whether what is known of a number is fresh. Times in ms."""
    if held_until:  # of a pin a reading of all of Airtable says nothing
        return now < held_until
    return now - max(asked_at, complete_at) < _fresh_ms()


@constant
def _fresh_ms() -> int:
    return int(settings.CACHE_TTL_SECONDS * 1000)


def is_over(asked_at: int, now: int, complete_at: int, *, known: bool) -> bool:
    """Whether a reading is too old to be served, even while Airtable is away. Times in ms."""
    confirmed_at = max(asked_at, complete_at) if known else asked_at
    return now - confirmed_at >= life_seconds(known=known) * 1000


def life_seconds(*, known: bool) -> float:
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
            asked_at=int(value["asked_at"]),
            by=cast("Reader", str(value["by"])),
            settings=_strings(own),
            records=tuple(map(str, value["records"])),
            warnings=tuple(map(str, value["warnings"])),
            held_until=int(value.get("held_until", 0)),
        )
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"it is no entry of this version ({error!r})") from error
    return entry


def _strings(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("it holds something else than strings")
    # All customers have variables of the same names: kept once, as many as there are dictionaries.
    return {sys.intern(name): text for name, text in value.items()}
