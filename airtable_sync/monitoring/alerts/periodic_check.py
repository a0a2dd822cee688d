"""Checks the health every minute, in each process, and sends alerts."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from airtable_sync.cache.database import close_connection
from airtable_sync.monitoring.alerts.incidents import Incidents
from airtable_sync.monitoring.alerts.messages import alert_messages
from airtable_sync.monitoring.alerts.sending import AlertSender
from airtable_sync.monitoring.alerts.text import alert_text
from airtable_sync.monitoring.health_rules import HealthFacts

logger = logging.getLogger(__name__)

CHECK_SECONDS = 60.0


class PeriodicCheck:
    def __init__(
        self,
        facts: Callable[[], HealthFacts],
        incidents: Incidents,
        sender: AlertSender,
        origin: str,
    ) -> None:
        """`origin` is where people reach this service."""
        self._origin = origin
        self._facts = facts
        self._incidents = incidents
        self._sender = sender

    def run_once(self) -> None:
        """Blocks."""
        try:
            facts = self._facts()
            for change in self._incidents.changes(alert_messages(facts), facts.at):
                self._sender.enqueue(alert_text(change, facts, self._origin))
        finally:
            self._sender.send_outbox()


@contextlib.asynccontextmanager
async def checking_in_background(check: PeriodicCheck) -> AsyncIterator[None]:
    task = asyncio.create_task(_check_forever(check))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _check_forever(check: PeriodicCheck) -> None:
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, thread_name_prefix="alerts")
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        await loop.run_in_executor(thread, _run_once, check)


def _run_once(check: PeriodicCheck) -> None:
    try:
        check.run_once()
    except Exception:
        logger.exception("The alerts continue after an unexpected error")
    finally:
        close_connection()
