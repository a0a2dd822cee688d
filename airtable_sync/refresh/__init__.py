"""The refresh: read the whole base, validate it, publish it, and record the run.

May import `lookup` and every package below it. Start reading at
`refresh.py`, then `validation.py`."""
