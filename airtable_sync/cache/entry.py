"""A cache entry: what is cached of one called number, and where it comes from."""

import hashlib
import json
import logging
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

logger = logging.getLogger(__name__)

# `json.dumps` would make a new encoder for each entry. No entry contains itself;
# checking that takes a quarter of the time.
_encode = json.JSONEncoder(check_circular=False).encode
_encode_sorted = json.JSONEncoder(check_circular=False, sort_keys=True).encode
Origin = Literal["refresh", "change", "lookup", "rollback", "override"]


@dataclass(frozen=True, slots=True)
class Entry:
    """`config` is None for a number that Airtable does not have ("unknown").

    `read_at` is when the data was requested from Airtable, in milliseconds by Redis' clock. Of two
    readings the one with the later `read_at` is newer, whichever arrives last. An override wins
    over every reading until `override_until` (ms; 0 for other entries)."""

    number: str
    config: dict[str, str] | None
    read_at: int
    origin: Origin
    settings: dict[str, str] = field(default_factory=dict)
    records: tuple[str, ...] = ()  # "table/rec…": the Airtable records it was made from
    warnings: tuple[str, ...] = ()
    override_until: int = 0

    @property
    def is_known(self) -> bool:
        return self.config is not None

    @property
    def is_dropped(self) -> bool:
        """An operator dropped it: the next call has to ask Airtable."""
        return self.origin == "override" and not self.is_known

    @property
    def override_seconds(self) -> float:
        return max(0.0, (self.override_until - self.read_at) / 1000)

    def age_seconds(self, now: int, confirmed_at: int = 0) -> float:
        """Seconds since the data was read or confirmed. `now` and `confirmed_at` are in ms."""
        read_at = max(self.read_at, confirmed_at) if self.is_known else self.read_at
        return max(0.0, (now - read_at) / 1000)

    def digest(self) -> str:
        """Equal for entries with the same config and settings, whatever their origin."""
        content = _encode_sorted([self.config, self.settings])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        return _encode(self.to_json()).encode()

    def encoded(self) -> "EncodedEntry":
        content = self.to_json()
        value, digest = _encode(content).encode(), content["digest"]
        known, until = self.is_known, self.override_until
        return EncodedEntry(self.number, value, digest, self.read_at, self.origin, known, until)

    def to_json(self) -> dict[str, Any]:
        """The value in Redis. `publish.lua` reads config, read_at, digest, origin and
        override_until."""
        override = {"override_until": self.override_until} if self.override_until else {}
        return {
            "config": self.config,
            "settings": self.settings,
            "read_at": self.read_at,
            "origin": self.origin,
            "records": list(self.records),
            "warnings": list(self.warnings),
            "digest": self.digest(),
            **override,
        }


class EncodedEntry(NamedTuple):
    """An entry as Redis keeps it (`value`, as django-redis' JSON serializer writes it), and what a
    write needs to know of it."""

    number: str
    value: bytes
    digest: str
    read_at: int
    origin: Origin
    is_known: bool = True
    override_until: int = 0

    @property
    def override_seconds(self) -> float:
        return max(0.0, (self.override_until - self.read_at) / 1000)

    def decode(self) -> Entry:
        return decode_entry(self.number, self.value)


def entry_from_bytes(number: str, raw: bytes) -> Entry | None:
    """The entry in the bytes that Redis keeps. None, with a warning, if they hold anything else."""
    try:
        return decode_entry(number, raw)
    except (ValueError, RecursionError) as error:
        warn_about_unreadable_value(number, error)
        return None


def decode_entry(number: str, raw: bytes) -> Entry:
    """Raises ValueError and RecursionError."""
    return entry_from_json(number, json.loads(raw))


# For frequently called numbers: about 2 KB each, 8 MB at most (docs/understanding/decisions.md).
# Entries are immutable, and equal bytes decode to equal entries.
decode_entry_cached = lru_cache(maxsize=4096)(decode_entry)


def warn_about_unreadable_value(number: str, error: Exception) -> None:
    logger.warning("The cached value of %s is treated as a miss: %s", number, error)


def entry_from_json(number: str, value: Any) -> Entry:
    """Raises ValueError if the value is not an entry of this version."""
    try:
        config, settings = value["config"], value["settings"]
        return Entry(
            number=number,
            config=None if config is None else _strings(config),
            read_at=int(value["read_at"]),
            origin=cast("Origin", str(value["origin"])),
            settings=_strings(settings),
            records=tuple(map(str, value["records"])),
            warnings=tuple(map(str, value["warnings"])),
            override_until=int(value.get("override_until", 0)),
        )
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"it is not an entry of this version ({error!r})") from error


def _strings(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("it holds values that are not strings")
    # All customers have the same variable names: one copy of each saves memory.
    return {sys.intern(name): text for name, text in value.items()}
