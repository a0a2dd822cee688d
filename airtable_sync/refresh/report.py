"""What a refresh did."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import Written
from airtable_sync.mapping.join import Conflict, Invalid

Status = Literal["published", "unchanged", "refused", "failed", "busy", "dry-run", "rolled-back"]
DIFFERENCES_KEPT = 1000
DIFFERENT = ("added", "changed", "removed")


@dataclass(frozen=True)
class Difference:
    """A number that was added, changed or removed: its fields that differ, before and after."""

    number: str
    what: str
    fields: dict[str, tuple[str | None, str | None]]

    def __str__(self) -> str:
        said = [f"{name}: {old!r} → {new!r}" for name, (old, new) in self.fields.items()]
        return f"{self.number} {self.what}{': ' if said else ''}{', '.join(said)}"

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "what": self.what, "fields": self.fields}


@dataclass
class Report:
    status: Status
    numbers: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    invalid: list[Invalid] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)  # how many each table had
    airtable_requests: int = 0
    duration_seconds: float = 0.0

    def count(self, written: Iterable[Written]) -> None:
        """Add up what writing did, and keep the first thousand differences."""
        outcomes: Counter[str] = Counter()
        for each in written:
            outcomes[each.outcome] += 1
            if each.outcome in DIFFERENT and len(self.differences) < DIFFERENCES_KEPT:
                self.differences.append(difference(each))
        self.numbers += sum(outcomes.values()) - outcomes["removed"] - outcomes["unknown"]
        self.added += outcomes["added"]
        self.changed += outcomes["changed"]
        self.removed += outcomes["removed"]
        self.unchanged += outcomes["unchanged"] + outcomes["older"]


def difference(written: Written) -> Difference:
    before, after = _said(written.before), _said(written.entry)
    changed = {
        name: (before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }
    return Difference(
        written.entry.number, written.outcome, changed if written.outcome == "changed" else {}
    )


def _said(entry: Entry | None) -> dict[str, str]:
    return {**(entry.config or {}), **entry.settings} if entry else {}
