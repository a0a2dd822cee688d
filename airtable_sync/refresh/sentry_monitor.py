"""Reports the cron job to Sentry. `cron_monitor.py` imports this only if SENTRY_DSN is set:
importing sentry_sdk takes half a second."""

from collections.abc import Iterator
from contextlib import contextmanager

import sentry_sdk
from sentry_sdk.crons import monitor
from sentry_sdk.types import MonitorConfig


@contextmanager
def report_to_sentry(slug: str, config: MonitorConfig, expected_message: str) -> Iterator[None]:
    """Report the block's start and end. An exception is a failure, unless its message contains
    `expected_message`. It is raised in both cases."""
    expected: Exception | None = None
    with monitor(monitor_slug=slug, monitor_config=config):
        try:
            yield
        except Exception as error:
            if expected_message not in str(error):
                sentry_sdk.capture_exception(error)
                raise
            expected = error
    if expected:
        raise expected
