"""The cache status page at /admin/cache/: whether calls are answered well, and what to do if not.

May import `services` and every package below it. Each page has its module (`overview.py`,
`number.py`, `runs.py`, `answers.py`, `overrides.py`, `connection.py`); `actions.py` and
`number_actions.py` have the other buttons. Start reading at `urls.py`, then `overview.py` and
`health/verdict.py`."""
