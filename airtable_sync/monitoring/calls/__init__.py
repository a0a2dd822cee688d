"""What all processes and machines count and remember together, kept in Redis.

A call pays for a few additions and a place in a queue (`answered`, `hit`); a background task
(`flush`) brings that to Redis every 15 s. Read it by `history` (answers a minute, latencies),
`answer_log` (what was this caller told?), `unknown` (numbers that were called), `processes` and
`run_results`."""

from airtable_sync.monitoring.calls.recorder import answered, hit

__all__ = ["answered", "hit"]
