"""How telemetry gets into Redis and out of it, and for how long it is kept."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

KEPT_SECONDS = 8 * 24 * 3600


class Parcel(NamedTuple):
    """A script to run, the names of its keys, and its arguments."""

    script: str
    names: Sequence[str]
    arguments: Sequence[str | int]


def load_script(module_file: str, name: str) -> str:
    """The Lua script of this name beside a module."""
    return Path(module_file).parent.joinpath(name).read_text(encoding="utf-8")


def with_scores(flat: Sequence[bytes]) -> list[tuple[bytes, float]]:
    """The members of a sorted set with their scores, which Redis sends one after the other."""
    return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]


def fields_of(raw: bytes, names: Collection[str]) -> dict[str, Any]:
    """The fields of these names in a JSON object: while a deploy goes on, processes of another
    version write some that are not known here."""
    return {name: value for name, value in json.loads(raw).items() if name in names}
