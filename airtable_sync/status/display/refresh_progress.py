"""How far the run that goes on now is."""

from collections.abc import Mapping
from dataclasses import dataclass

from airtable_sync.airtable.base_reader import PUBLISHING
from airtable_sync.models import Run


@dataclass(frozen=True)
class Step:
    """A table that is read, or the publication. `expected` is what it was the last time."""

    name: str
    done: int
    expected: int | None
    current: bool


def steps(run: Run, expected: Mapping[str, int]) -> list[Step]:
    names = list(dict.fromkeys([*run.records, *expected]))
    names = [*(name for name in names if name != PUBLISHING), PUBLISHING]
    begun = [name for name in names if name in run.records]
    return [
        Step(
            name if name == PUBLISHING else f"Reading {name}",
            int(run.records.get(name, 0)),
            expected.get(name) or None,
            bool(begun) and name == begun[-1],
        )
        for name in names
    ]
