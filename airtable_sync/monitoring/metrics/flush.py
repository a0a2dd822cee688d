"""Brings to Redis what this process counted and answered: every 15 s one request of at most three
commands, one more per 400 answers, none if there is nothing to tell."""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings

from airtable_sync.cache.redis_store import TELEMETRY, CacheUnavailable, Store
from airtable_sync.lookup.airtable_lookup import is_served
from airtable_sync.monitoring.calls.answer_log import ANSWERS_PER_REQUEST, AnswerLog
from airtable_sync.monitoring.calls.recorder import Answered, waiting
from airtable_sync.monitoring.metrics import counters
from airtable_sync.monitoring.metrics.processes import Heartbeat
from airtable_sync.monitoring.metrics.unflushed_counts import Counting

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
LAST_SECONDS = 3.0  # for the last flush, while the process ends
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="telemetry")


class Flusher:
    """Of a process. One that ends soon (`is_command`) is not told of as living."""

    def __init__(self, store: Store = TELEMETRY, *, is_command: bool = False) -> None:
        self._store = store
        process = secrets.token_hex(6)
        self._counting = Counting(process)
        self._log = AnswerLog(process)
        self._heartbeat = None if is_command else Heartbeat(process)
        self._unsure = False  # whether what was sent last arrived: it is sent again
        self._one_at_a_time = threading.Lock()

    def flush(self) -> None:
        """Raises CacheUnavailable; what was not told then is told by the next one."""
        with self._one_at_a_time:
            for _ in range(1 + self._unsure + len(waiting) // ANSWERS_PER_REQUEST):
                self._send()

    @property
    def arrives(self) -> bool:
        """Whether what was sent last arrived."""
        return not self._unsure

    def end(self) -> None:
        """The last flush. Raises CacheUnavailable."""
        self.flush()
        if self._heartbeat:
            self._store.run_all([self._heartbeat.farewell()])

    def _send(self) -> None:
        for each in self._log.take():
            self._look_at(each)
        self._counting.look()
        senders = [each for each in (self._counting, self._log, self._heartbeat) if each]
        parcels = [(sender, parcel) for sender in senders if (parcel := sender.parcel())]
        if not parcels:
            return
        self._unsure = True
        self._store.run_all([parcel for _, parcel in parcels])
        self._unsure = False
        for sender, _ in parcels:
            sender.arrived()

    def _look_at(self, called: Answered) -> None:
        entry = called.answer.entry
        if entry and entry.known:
            counters.served(entry.age_seconds(called.at, called.confirmed_at))
        elif _is_unknown(called):
            self._counting.called_unknown(called.answer.number or "", called.at)


_own: Flusher | None = None


def of_this_process(*, is_command: bool = True) -> Flusher:
    """There is one: two would both tell what was counted."""
    global _own  # noqa: PLW0603 - made after the server has forked
    _own = _own or Flusher(is_command=is_command)
    return _own


def _is_unknown(called: Answered) -> bool:
    """Airtable does not have it, or it is not among `TO_NUMBERS`; not: that could not be found
    out."""
    answer = called.answer
    if answer.known or not answer.number:
        return False
    return answer.entry is not None or not is_served(answer.number)


@contextlib.asynccontextmanager
async def in_background() -> AsyncIterator[None]:
    """Flush every 15 s, and once more at the end; without a Redis, what this process counts is all
    there is."""
    if not settings.REDIS_URL:
        yield
        return
    flusher = of_this_process(is_command=False)
    task = asyncio.create_task(_go_on(flusher))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        last = asyncio.get_running_loop().run_in_executor(_THREAD, _end, flusher)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(last, LAST_SECONDS)


async def _go_on(flusher: Flusher) -> None:
    loop = asyncio.get_running_loop()
    arrives = True
    while True:
        arrives = await loop.run_in_executor(_THREAD, _flush, flusher, arrives)
        await asyncio.sleep(EVERY_SECONDS)


def _flush(flusher: Flusher, arrived_before: bool) -> bool:
    """Whether it arrived: an outage is told once, not every 15 s."""
    try:
        flusher.flush()
    except CacheUnavailable as error:
        if arrived_before:
            logger.warning("What is counted is kept in memory: %s", error)
        return False
    except Exception:
        logger.exception("The telemetry goes on after an unforeseen error")
        return False
    if not arrived_before:
        logger.info("What was counted meanwhile is in Redis")
    return True


def _end(flusher: Flusher) -> None:
    try:
        flusher.end()
    except CacheUnavailable as error:
        logger.warning("What was counted last is lost: %s", error)
