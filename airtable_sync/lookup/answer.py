"""The answer to a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from airtable_sync.cache.entry import Entry, decode_entry_cached

Source = Literal["memory", "redis", "airtable", "stale", "default"]


@dataclass(frozen=True, slots=True)
class Answer:
    """`is_known` is false if the variables are the defaults. `tier_seconds` has the seconds of each
    tier behind memory that was asked. `entry` is the number's entry, if there is one."""

    number: str | None
    is_known: bool
    variables: Mapping[str, str]
    settings: Mapping[str, str]
    source: Source
    tier_seconds: Mapping[str, float] = field(default_factory=dict)
    entry: Entry | None = None


def answer_from_bytes(number: str, raw: bytes) -> Answer:
    """The answer of a fresh entry in the replica. Equal bytes give equal answers."""
    entry = decode_entry_cached(number, raw)
    return Answer(number, True, entry.config or {}, entry.settings, "memory", {}, entry)
