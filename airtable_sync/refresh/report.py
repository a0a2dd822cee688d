"""The result of a refresh."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.mapping.joined import Conflict, InvalidRecord

# "refused": rejected by validation or by a pause. Scripts read these values, so they stay.
Status = Literal["published", "unchanged", "refused", "failed", "busy", "dry-run", "rolled-back"]
DETAILS_KEPT = 1000  # of each kind; the counts are exact
DIFFERENT = ("added", "changed", "removed")


@dataclass(frozen=True)
class Difference:
    """A number that was added, changed or removed: `fields` are those that differ, as (before,
    after)."""

    number: str
    kind: str
    fields: dict[str, tuple[str | None, str | None]]

    def __str__(self) -> str:
        changes = [f"{name}: {old!r} → {new!r}" for name, (old, new) in self.fields.items()]
        return f"{self.number} {self.kind}{': ' if changes else ''}{', '.join(changes)}"

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "kind": self.kind, "fields": self.fields}


@dataclass
class Report:
    status: Status
    numbers: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    invalid: list[InvalidRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    contacts_changed: int = 0
    callers: int = 0  # contacts, counted once for each client
    contacts_skipped: int = 0  # without a number or a client
    records: dict[str, int] = field(default_factory=dict)  # table -> count of its records
    airtable_requests: int = 0
    duration_seconds: float = 0.0

    def count(self, results: Iterable[WriteResult]) -> None:
        """Add up the outcomes, and keep the first thousand differences. A number whose newer entry
        stays counts as unchanged; one that this refresh does not have, and a newer reading has, is
        not counted. Contacts are only counted."""
        outcomes: Counter[str] = Counter()
        for each in results:
            if is_contact(each.entry.number):
                self.callers += each.entry.is_known
                self.contacts_changed += each.outcome in DIFFERENT
                continue
            if each.entry.is_known or each.outcome == "removed":
                outcomes[each.outcome] += 1
            if each.outcome in DIFFERENT and len(self.differences) < DETAILS_KEPT:
                self.differences.append(difference_of(each))
        self.numbers += sum(outcomes.values()) - outcomes["removed"]
        self.added += outcomes["added"]
        self.changed += outcomes["changed"]
        self.removed += outcomes["removed"]
        self.unchanged += outcomes["unchanged"] + outcomes["older"]


def difference_of(result: WriteResult) -> Difference:
    number, outcome = result.entry.number, result.outcome
    if outcome != "changed":
        return Difference(number, outcome, {})
    before, after = _values(result.before), _values(result.entry.decode())
    changed = {
        name: (before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }
    return Difference(number, outcome, changed)


def _values(entry: Entry | None) -> dict[str, str]:
    return {**(entry.config or {}), **entry.settings} if entry else {}
