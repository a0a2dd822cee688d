"""Alerts: each process checks the health rules every minute; one of them sends the alert.

May import `export` and the health modules. Start reading at `periodic_check.py`."""
