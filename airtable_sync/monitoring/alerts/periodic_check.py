"""Looks for trouble every minute, in each process, beside the calls."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from airtable_sync.cache import database
from airtable_sync.monitoring.alerts.incidents import Change, Told
from airtable_sync.monitoring.alerts.messages import OVER, troubles
from airtable_sync.monitoring.alerts.observer import Observer
from airtable_sync.monitoring.alerts.sending import Outbox, channels
from airtable_sync.monitoring.health_rules import Known

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts")


class Rounds:
    def __init__(self, facts: Callable[[], Known]) -> None:
        self._facts = facts
        self._told = Told()
        self._outbox = Outbox()

    def round(self) -> None:
        facts = self._facts()
        for change in self._told.changes(troubles(facts), facts.at):
            self._outbox.put(_sentence(change))
        self._outbox.send()


def _sentence(change: Change) -> str:
    return change.sentence or f"It is over: {OVER[change.kind]}."


@contextlib.asynccontextmanager
async def in_background() -> AsyncIterator[None]:
    """Nothing is looked for where nobody could be told."""
    if not channels():
        yield
        return
    task = asyncio.create_task(_go_on(Rounds(Observer().facts)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _go_on(rounds: Rounds) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        await loop.run_in_executor(_THREAD, _round, rounds)


def _round(rounds: Rounds) -> None:
    try:
        rounds.round()
    except Exception:
        logger.exception("The alerts go on after an unforeseen error")
    finally:
        database.release()
