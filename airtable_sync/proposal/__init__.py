"""Proposing a mapping for a base, from its schema and a few records.

Works on what it is given, without Django. May import `airtable`, `mapping` and every package below
them. Start reading at `proposal.py`, then `candidates.py` and `sections.py`."""
