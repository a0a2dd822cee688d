"""The scripts that write telemetry, and for how long it is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

KEPT_SECONDS = 8 * 24 * 3600


class Parcel(NamedTuple):
    """A script to run, the names of its keys, and its arguments."""

    script: str
    names: Sequence[str]
    arguments: Sequence[str | int]


def script(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def with_scores(flat: Sequence[bytes]) -> list[tuple[bytes, float]]:
    """The members of a sorted set with their scores, which Redis sends one after the other."""
    return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]
