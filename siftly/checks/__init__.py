"""Django system checks: everything that is wrong with the settings, at once. No message has a
value, because some values are secrets.

`apps.py` registers them. Start reading at `settings.py`; docs/reference/checks.md lists all ids."""
