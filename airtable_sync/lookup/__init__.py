"""Answering a call: replica → Redis → Airtable → defaults, with one lookup per number.

May import `airtable` and every package below it. Start reading at `answerer.py`."""
