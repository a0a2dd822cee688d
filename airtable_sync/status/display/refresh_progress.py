"""The progress of the running refresh."""

from collections.abc import Mapping
from dataclasses import dataclass

from airtable_sync.airtable.base_reader import PUBLISHING
from airtable_sync.models import Run


@dataclass(frozen=True)
class Step:
    """Reading a table, or publishing. `expected` is the count of the last run."""

    name: str
    done: int
    expected: int | None
    is_current: bool


def progress_steps(run: Run, expected: Mapping[str, int]) -> list[Step]:
    tables = [name for name in dict.fromkeys([*run.records, *expected]) if name != PUBLISHING]
    names = [*tables, PUBLISHING]
    current = next((name for name in reversed(names) if name in run.records), None)
    return [
        Step(
            name if name == PUBLISHING else f"Reading {name}",
            int(run.records.get(name, 0)),
            expected.get(name) or None,
            name == current,
        )
        for name in names
    ]
