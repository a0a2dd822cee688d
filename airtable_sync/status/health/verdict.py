"""Is it well? One sentence, and what to do if not. Pure: facts in, verdict out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from airtable_sync.status.display.units import ago, count, short
from airtable_sync.status.health import airtable_findings, cache_findings
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.finding import RANK, Finding

WORDS = {"well": "All is well", "attention": "Needs attention", "bad": "Calls are at risk"}
Check = Callable[[Facts], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (*cache_findings.CHECKS, *airtable_findings.CHECKS)


@dataclass(frozen=True)
class Verdict:
    """`sentence` and `step` are the gravest finding's; `others` what else there is to say."""

    level: Literal["well", "attention", "bad"]
    sentence: str
    step: str
    others: tuple[Finding, ...] = ()

    @property
    def words(self) -> str:
        return WORDS[self.level]


def verdict(facts: Facts) -> Verdict:
    found = [finding for check in CHECKS for finding in check(facts)]
    found.sort(key=lambda each: RANK[each.level])  # stable: equals stay in the order of the checks
    if not found or found[0].level == "note":
        return Verdict("well", _well(facts), "", tuple(found))
    gravest, *others = found
    level: Literal["attention", "bad"] = "bad" if gravest.level == "bad" else "attention"
    return Verdict(level, gravest.sentence, gravest.step, tuple(others))


def _well(facts: Facts) -> str:
    numbers = facts.numbers or 0
    cached = (
        "The 1 number is cached" if numbers == 1 else f"All {count(numbers, 'number')} are cached"
    )
    refreshed = ago(facts.confirmed_at, facts.at) if facts.confirmed_at else "never"
    return f"{cached}; last refreshed {refreshed}; {_edits(facts)}."


def _edits(facts: Facts) -> str:
    if facts.setup.changes == "off":
        return "edits are live after the next refresh"
    lag = facts.redis.hour.propagation.quantile(0.5) if facts.redis else None
    if lag is None and facts.redis:
        lag = facts.redis.state.counts.propagation.quantile(0.5)
    if lag is not None:
        return f"edits are live in about {short(lag)}"
    if facts.setup.changes == "push":
        return "edits are live in about 1 s"
    return f"edits are live in about {short(max(1.0, facts.setup.poll_seconds / 2))}"
