"""The verdict: one sentence about the cache's health, and the next step. A pure function of the
facts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from airtable_sync.status.display.units import ago, count, short_duration
from airtable_sync.status.health import airtable_findings as airtable
from airtable_sync.status.health import cache_findings as cache
from airtable_sync.status.health import refresh_findings as refreshes
from airtable_sync.status.health.facts import Facts
from airtable_sync.status.health.finding import RANK, Finding

TITLES = {"well": "All is well", "attention": "Needs attention", "bad": "Calls are at risk"}
Check = Callable[[Facts], Iterator[Finding]]
# Findings of the same level are shown in this order.
CHECKS: tuple[Check, ...] = (
    cache.platforms,
    cache.redis,
    cache.database,
    refreshes.cache_age,
    refreshes.last_run,
    refreshes.cron,
    cache.cached_numbers,
    refreshes.rollback,
    cache.replicas,
    cache.other_deployments,
    cache.eviction,
    cache.unknown_numbers,
    cache.overrides,
    cache.alerts,
    cache.records_to_fix,
    airtable.token,
    airtable.access,
    airtable.outage,
    airtable.failed_lookups,
    airtable.quota,
    airtable.rate_limit,
    airtable.change_feed,
)


@dataclass(frozen=True)
class Verdict:
    """`sentence` and `step` are those of the most serious finding; `others` are the other
    findings."""

    level: Literal["well", "attention", "bad"]
    sentence: str
    step: str
    others: tuple[Finding, ...] = ()
    help_path: str = ""
    records_to_fix: int = 0

    @property
    def title(self) -> str:
        if not self.records_to_fix:
            return TITLES[self.level]
        return f"{TITLES[self.level]}, {count(self.records_to_fix, 'record')} to fix"


def verdict(facts: Facts) -> Verdict:
    found = [finding for check in CHECKS for finding in check(facts)]
    found.sort(key=lambda each: RANK[each.level])  # stable: equals keep the order of the checks
    if not found or found[0].level == "note":
        to_fix = facts.database.records_to_fix if facts.database else None
        number_to_fix = to_fix.count if to_fix else 0
        return Verdict("well", _healthy_sentence(facts), "", tuple(found), "", number_to_fix)
    most_serious, *others = found
    level: Literal["attention", "bad"] = "bad" if most_serious.level == "bad" else "attention"
    return Verdict(
        level, most_serious.sentence, most_serious.step, tuple(others), most_serious.help_path
    )


def _healthy_sentence(facts: Facts) -> str:
    numbers = facts.published_numbers or 0
    cached = (
        "The 1 number is cached" if numbers == 1 else f"All {count(numbers, 'number')} are cached"
    )
    refreshed = ago(facts.confirmed_at, facts.at) if facts.confirmed_at else "never"
    return f"{cached}; last refreshed {refreshed}; edits are live {_when_live(facts)}."


def _when_live(facts: Facts) -> str:
    if not facts.setup.follows_changes:
        return "after the next refresh"
    median = facts.redis.last_hour.propagation.quantile(0.5) if facts.redis else None
    if median is None and facts.redis:
        median = facts.redis.totals.counts.propagation.quantile(0.5)
    if median is not None:
        return f"in about {short_duration(median)}"
    if facts.setup.changes == "push":
        return "in about 1 s"
    return f"in about {short_duration(max(1.0, facts.setup.poll_seconds / 2))}"
