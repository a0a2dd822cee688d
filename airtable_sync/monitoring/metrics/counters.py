"""Counts what this process does, in memory: no lock on the call path, no I/O, no text."""

import threading
from collections.abc import Mapping
from typing import Any

from airtable_sync.monitoring.metrics.counts import Counts


class Counters:
    def __init__(self) -> None:
        self.counts = Counts()
        self._lock = threading.Lock()  # for counts of several threads; calls come from one

    def call_answered(
        self, platform: str, source: str, seconds: float, tier_seconds: Mapping[str, float]
    ) -> None:
        """A call was answered after `seconds`. `tier_seconds` are the tiers that were asked."""
        counts = self.counts
        counts.calls[platform, source] += 1
        counts.latency[source].observe(seconds)
        if tier_seconds:
            for tier, each in tier_seconds.items():
                counts.tier_requests[tier] += 1
                counts.tier_seconds[tier] += each

    def answer_log_dropped(self) -> None:
        """The queue of the answer log is full. Only the event loop's thread counts this."""
        self.counts.events["answer_log_dropped"] += 1

    def caller_looked_up(self, *, known: bool) -> None:
        """Only the event loop's thread counts this."""
        self.counts.events["callers_known" if known else "callers_unknown"] += 1

    def tier_failed(self, tier: str) -> None:
        self.counts.tier_failures[tier] += 1

    def follow_up_ended(self, *, failed: bool) -> None:
        """A platform was asked to accept or reject a call."""
        self._add("follow_ups_failed" if failed else "follow_ups_sent")

    def airtable_requested(self) -> None:
        self._add("airtable_requests")

    def airtable_rate_limited(self) -> None:
        self._add("rate_limited")

    def rate_limiter_waited(self, seconds: float) -> None:
        with self._lock:
            self.counts.events["rate_limiter_waits"] += 1
            self.counts.rate_limiter_wait_seconds += seconds

    def entry_served(self, age_seconds: float) -> None:
        with self._lock:
            self.counts.age.observe(age_seconds)

    def edit_propagated(self, seconds: float) -> None:
        """An edit in Airtable was live after so long."""
        with self._lock:
            self.counts.propagation.observe(seconds)

    def run_ended(self, status: str, seconds: float) -> None:
        with self._lock:
            self.counts.runs[status] += 1
            self.counts.run_seconds += seconds

    def summary(self) -> dict[str, Any]:
        """For `/readyz`."""
        counts = self.counts
        tiers = {
            tier: {
                "requests": requests,
                "failures": counts.tier_failures[tier],
                "mean_ms": round(counts.tier_seconds[tier] / requests * 1000, 3),
            }
            for tier, requests in list(counts.tier_requests.items())
        }
        return {"answers": counts.calls_by_source, "tiers": tiers}

    def _add(self, event: str) -> None:
        with self._lock:
            self.counts.events[event] += 1
