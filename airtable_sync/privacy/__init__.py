"""Erasing a called number everywhere.

May import `monitoring` and every package below it. Start reading at `erasure.py`."""
