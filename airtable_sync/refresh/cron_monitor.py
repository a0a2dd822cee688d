"""Sentry's cron monitor, if SENTRY_DSN is set: Sentry alerts if a refresh is late or fails.
https://docs.sentry.io/platforms/python/crons/"""

from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import cast

SCHEDULE = "0 */3 * * *"  # as in render.yaml
INTERVAL_SECONDS = 3 * 3600
MONITOR = "refresh-airtable-cache"
MARGIN_MINUTES, MAX_RUN_MINUTES = 15, 60
_CONFIG = {
    "schedule": {"type": "crontab", "value": SCHEDULE},
    "timezone": "UTC",
    "checkin_margin": MARGIN_MINUTES,
    "max_runtime": MAX_RUN_MINUTES,
}


def cron_monitor(*, enabled: bool, expected_message: str) -> AbstractContextManager[None]:
    """Reports the block to Sentry. An exception with `expected_message` is no failure."""
    if not enabled:
        return nullcontext()
    module = import_module("airtable_sync.refresh.sentry_monitor")
    report = module.report_to_sentry(MONITOR, _CONFIG, expected_message)
    return cast("AbstractContextManager[None]", report)
