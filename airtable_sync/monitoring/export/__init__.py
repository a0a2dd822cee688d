"""Brings the counts of all processes together in Redis, and reads them: for the status page and for
Prometheus.

May import `metrics` and `calls`. Start reading at `flush.py`, then `totals.py` and
`prometheus.py`."""
