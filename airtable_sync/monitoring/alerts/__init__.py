"""Alerts: each process checks the health rules every minute; one of them sends the alert.

`../health_rules.py` decides whether there is a problem (also whether cron is overdue),
`messages.py` has the texts, `incidents.py` finds out what is new or over, and `sending.py` sends.

May import `export` and the health modules. Start reading at `periodic_check.py`."""
