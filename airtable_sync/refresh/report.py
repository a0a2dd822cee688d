"""The result of a refresh."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from airtable_sync.cache.contacts import is_contact
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import WriteResult
from airtable_sync.mapping.joined import Conflict, InvalidRecord
from airtable_sync.refresh.customer import customer_of

# "refused": rejected by validation or by a pause. Scripts read these values, so they stay.
Status = Literal["published", "unchanged", "refused", "failed", "busy", "dry-run", "rolled-back"]
DETAILS_KEPT = 1000  # of conflicts, invalid records and warnings; their counts are exact
DIFFERENCES_KEPT = 500  # each of DIFFERENT
FIELDS_KEPT, TEXT_KEPT = 50, 500  # of a difference in the database
DIFFERENT = ("removed", "changed", "added")  # the most important first


@dataclass(frozen=True)
class Difference:
    """A number that was added, changed or removed: `fields` are those that differ, as (before,
    after). `customer` is a name for people, and `records` are in Airtable; both as far as known."""

    number: str
    kind: str
    fields: dict[str, tuple[str | None, str | None]]
    customer: str = ""
    records: tuple[str, ...] = ()

    def __str__(self) -> str:
        changes = [f"{name}: {old!r} → {new!r}" for name, (old, new) in self.fields.items()]
        what = ", ".join(changes) or self.customer
        return f"{self.number} {self.kind}{': ' if what else ''}{what}"

    def to_json(self) -> dict[str, Any]:
        """Of a limited size: a cell of Airtable may have 100,000 characters."""
        fields = list(self.fields.items())[:FIELDS_KEPT]
        return {
            "number": self.number,
            "kind": self.kind,
            "fields": {name: [_shortened(each) for each in pair] for name, pair in fields},
            "customer": self.customer,
            "records": list(self.records),
        }


@dataclass(frozen=True)
class Figure:
    """A figure of the rule that rejected a set."""

    name: str
    value: str


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
    rule: tuple[Figure, ...] = ()  # that rejected the set
    removed_digest: int | None = None  # of the removed numbers; None: not compared yet
    airtable_requests: int = 0
    duration_seconds: float = 0.0

    def count(self, results: Iterable[WriteResult]) -> None:
        """Add up the outcomes, and keep the first differences of each kind. A number whose newer
        entry stays counts as unchanged; one that this refresh does not have, and a newer reading
        has, is not counted. Contacts are only counted."""
        outcomes: Counter[str] = Counter()
        removed_digest = self.removed_digest or 0
        for each in results:
            if is_contact(each.entry.number):
                self.callers += each.entry.is_known
                self.contacts_changed += each.outcome in DIFFERENT
                continue
            if each.entry.is_known or each.outcome == "removed":
                outcomes[each.outcome] += 1
            if each.outcome in DIFFERENT and outcomes[each.outcome] <= DIFFERENCES_KEPT:
                self.differences.append(difference_of(each))
            if each.outcome == "removed":
                removed_digest ^= _digest(each.entry.number)
        self.removed_digest = removed_digest
        self.numbers += sum(outcomes.values()) - outcomes["removed"]
        self.added += outcomes["added"]
        self.changed += outcomes["changed"]
        self.removed += outcomes["removed"]
        self.unchanged += outcomes["unchanged"] + outcomes["older"]


def difference_of(result: WriteResult) -> Difference:
    entry = result.entry
    return difference_between(entry.number, result.outcome, result.before, entry.decode())


def difference_between(
    number: str, outcome: str, before: Entry | None, new: Entry | None
) -> Difference:
    """`outcome` is one of DIFFERENT."""
    shown = before if outcome == "removed" else new
    customer = customer_of((shown and shown.config) or {})
    records = shown.records if shown else ()
    if outcome != "changed":
        return Difference(number, outcome, {}, customer, records)
    old, after = _values(before), _values(new)
    changed = {
        name: (old.get(name), after.get(name))
        for name in dict.fromkeys([*old, *after])
        if old.get(name) != after.get(name)
    }
    return Difference(number, outcome, changed, customer, records)


def _values(entry: Entry | None) -> dict[str, str]:
    return {**(entry.config or {}), **entry.settings} if entry else {}


def _shortened(text: str | None) -> str | None:
    return text if text is None or len(text) <= TEXT_KEPT else f"{text[:TEXT_KEPT]}…"


def _digest(number: str) -> int:
    return int.from_bytes(hashlib.sha256(number.encode()).digest()[:8], "big")
