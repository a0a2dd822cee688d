"""What this process did since it started, counted in memory: no lock, no I/O, no text is made.
`telemetry` adds it up over all processes, in the background."""

import threading
from typing import Any

from airtable_sync.monitoring.metrics.counts import Counts

counts = Counts()
_threads = threading.Lock()  # for what several threads count; calls come by one


def answered(platform: str, source: str, seconds: float, spent: dict[str, float]) -> None:
    """An answer went out, `seconds` after the call came in; `spent` holds the seconds of each tier
    that was asked for it."""
    counts.answers[platform, source] += 1
    counts.latency[source].observe(seconds)
    if spent:
        for tier, each in spent.items():
            counts.asked[tier] += 1
            counts.tier_seconds[tier] += each


def failed(tier: str) -> None:
    counts.failed[tier] += 1


def happened(event: str) -> None:
    """One more of `Counts.events`."""
    with _threads:
        counts.events[event] += 1


def budget_waited(seconds: float) -> None:
    """A request to Airtable waited for its place in the budget."""
    with _threads:
        counts.events["budget_waits"] += 1
        counts.budget_wait_seconds += seconds


def served(age_seconds: float) -> None:
    """What was served was that old. Told in the background."""
    with _threads:
        counts.age.observe(age_seconds)


def edit_propagated(seconds: float) -> None:
    """So long after an edit in Airtable it was what callers are told."""
    with _threads:
        counts.propagation.observe(seconds)


def run_ended(status: str, seconds: float) -> None:
    """A refresh ended."""
    with _threads:
        counts.runs[status] += 1
        counts.run_seconds += seconds


def snapshot() -> dict[str, Any]:
    """Answers by source and the tiers' figures, for `/readyz`."""
    tiers = {
        tier: {
            "asked": asked,
            "failed": counts.failed[tier],
            "mean_ms": round(counts.tier_seconds[tier] / asked * 1000, 3),
        }
        for tier, asked in list(counts.asked.items())
    }
    return {"answers": counts.by_source, "tiers": tiers}
