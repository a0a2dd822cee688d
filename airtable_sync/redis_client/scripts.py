"""Lua scripts, loaded from the file beside the module that runs them, and plain commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class ScriptCall(NamedTuple):
    """A script, the names of its keys, and its arguments."""

    script: str
    names: Sequence[str]
    arguments: Sequence[str | int | bytes]


class Command(NamedTuple):
    """A plain command, the name of its key, and the other arguments."""

    command: str
    name: str
    arguments: Sequence[str | int | bytes]


def load_script(module_file: str, name: str) -> str:
    """The script `name` from the folder of a module (`__file__`)."""
    return Path(module_file).with_name(name).read_text(encoding="utf-8")


def pairs_with_scores(flat: Sequence[bytes]) -> list[tuple[bytes, float]]:
    """The members of a sorted set with their scores. Redis returns them as one flat list."""
    return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]
