"""What operators see: metrics, the answer log, the facts and rules of health, and alerts.

May import `changes` and every package below it. Start reading at `metrics/counters.py` for metrics,
and at `health_rules.py` and `alerts/periodic_check.py` for alerts."""
