"""Siftly for gunicorn, with health checks and flushes of the metrics several times a second. Each
check is logged."""

import logging
import os

from airtable_sync.monitoring.alerts import observer, periodic_check
from airtable_sync.monitoring.alerts.periodic_check import PeriodicCheck
from airtable_sync.monitoring.export import flush
from siftly.asgi import application

__all__ = ["CHECKED", "application"]

CHECKED = "The health was checked by process "
logger = logging.getLogger("siftly.tests")
periodic_check.CHECK_SECONDS = observer.ASK_REDIS_SECONDS = 0.3
flush.FLUSH_SECONDS = 0.3
_run_once = PeriodicCheck.run_once


def _logged_run_once(self: PeriodicCheck) -> None:
    _run_once(self)
    logger.info("%s%d", CHECKED, os.getpid())


PeriodicCheck.run_once = _logged_run_once  # type: ignore[method-assign]
