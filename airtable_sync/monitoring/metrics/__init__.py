"""Counts of one process, in memory: no I/O and no text on the call path.

Imports nothing else of `monitoring`. Start reading at `counters.py`."""
