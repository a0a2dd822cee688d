"""Cron's refresh, as a monitor at Sentry: it hears when one is late or fails, if SENTRY_DSN is set.
https://docs.sentry.io/platforms/python/crons/"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

SCHEDULE = "0 */3 * * *"  # as in render.yaml
INTERVAL_SECONDS = 3 * 3600
MONITOR = "refresh-airtable-cache"
MARGIN_MINUTES, LONGEST_MINUTES = 15, 60


@contextmanager
def monitored(unless: str) -> Iterator[None]:
    """What happens within it; an exception is a failure, unless it says this, and goes on."""
    if not settings.SENTRY_DSN:
        yield
        return
    import sentry_sdk  # noqa: PLC0415 - takes half a second, which only its users pay
    from sentry_sdk.crons import monitor  # noqa: PLC0415
    from sentry_sdk.types import MonitorConfig  # noqa: PLC0415

    config: MonitorConfig = {
        "schedule": {"type": "crontab", "value": SCHEDULE},
        "timezone": "UTC",
        "checkin_margin": MARGIN_MINUTES,
        "max_runtime": LONGEST_MINUTES,
    }
    meant_so: Exception | None = None
    with monitor(monitor_slug=MONITOR, monitor_config=config):
        try:
            yield
        except Exception as error:
            if unless not in str(error):
                sentry_sdk.capture_exception(error)
                raise
            meant_so = error
    if meant_so:
        raise meant_so
