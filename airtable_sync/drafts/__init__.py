"""Preparing another mapping: a draft is read from Airtable, compared with what is served, and
published as a new version. May import everything up to `services`. Start at `publishing.py`."""
