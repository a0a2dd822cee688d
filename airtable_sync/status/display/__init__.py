"""Turns values into text, links and charts for the templates.

Pure functions and dataclasses. May import `models`, `airtable` and `monitoring`. Start reading at
`units.py`, then `charts.py`."""
