"""Calls come in here: one view for all voice platforms, and one adapter per platform.

May import `airtable_sync` (it asks `lookup` for an answer) and `siftly.server`. Start reading at
`call_handler.py`, then `platforms/base.py`."""
