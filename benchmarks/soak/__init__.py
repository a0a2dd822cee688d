"""`make soak`: runs Siftly under load for a long time, with edits, refreshes and random faults, and
checks every answer. May import `benchmarks`, `sandbox` and `webhooks`. Start reading at
`soak.py`."""
