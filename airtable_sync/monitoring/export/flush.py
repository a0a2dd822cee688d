"""Writes the counts, the answers and the heartbeat of this process to Redis every 15 s: one request
of at most three commands, plus one per 400 answers; none if there is nothing new."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from airtable_sync.cache.processes import Heartbeat
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.monitoring.calls.answer_log import ANSWERS_PER_REQUEST, AnswerLogWriter
from airtable_sync.monitoring.calls.recorder import AnsweredCall, CallRecorder
from airtable_sync.monitoring.export.unflushed_counts import UnflushedCounts
from airtable_sync.monitoring.metrics.counters import Counters
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 15.0
LAST_FLUSH_SECONDS = 3.0  # when the process ends


class MetricsFlusher:
    """Only a web process has a `heartbeat`: call `start_heartbeat`."""

    def __init__(
        self,
        store: RedisStore,
        counters: Counters,
        recorder: CallRecorder,
        unflushed: UnflushedCounts,
        answer_log: AnswerLogWriter,
        is_served: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._counters = counters
        self._recorder = recorder
        self._unflushed = unflushed
        self._answer_log = answer_log
        self._is_served = is_served
        self._heartbeat: Heartbeat | None = None
        self._must_resend = False  # Redis' answer to the last request was lost
        self._lock = threading.Lock()

    def start_heartbeat(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat

    def flush(self) -> None:
        """Raises CacheUnavailable; then the next flush sends the same."""
        with self._lock:
            batches = 1 + self._must_resend + len(self._recorder) // ANSWERS_PER_REQUEST
            for _ in range(batches):
                self._send()

    @property
    def last_request_arrived(self) -> bool:
        """Whether the last request arrived."""
        return not self._must_resend

    def end(self) -> None:
        """The last flush of the process. Raises CacheUnavailable."""
        self.flush()
        if self._heartbeat:
            self._store.run_all([self._heartbeat.end_command()])

    def _send(self) -> None:
        for each in self._answer_log.take():
            self._count_answer(each)
        self._unflushed.collect()
        senders = [e for e in (self._unflushed, self._answer_log, self._heartbeat) if e]
        calls = [(sender, call) for sender in senders if (call := sender.next_script())]
        if not calls:
            return
        self._must_resend = True
        self._store.run_all([call for _, call in calls])
        self._must_resend = False
        for sender, _ in calls:
            sender.arrived()

    def _count_answer(self, call: AnsweredCall) -> None:
        entry = call.answer.entry
        if entry and entry.is_known:
            self._counters.entry_served(entry.age_seconds(call.at, call.confirmed_at))
        elif self._is_unknown(call):
            self._unflushed.unknown_called(call.answer.number or "", call.at)

    def _is_unknown(self, call: AnsweredCall) -> bool:
        """Airtable does not have the number, or `TO_NUMBERS` does not. Not: no tier answered."""
        answer = call.answer
        if answer.is_known or not answer.number:
            return False
        return answer.entry is not None or not self._is_served(answer.number)


@contextlib.asynccontextmanager
async def flushing_in_background(flusher: MetricsFlusher) -> AsyncIterator[None]:
    """Flush every 15 s, and once more at the end."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="metrics-flush")
    task = asyncio.create_task(_flush_forever(flusher, thread))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        last = asyncio.get_running_loop().run_in_executor(thread, _end, flusher)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(last, LAST_FLUSH_SECONDS)
        thread.shutdown(wait=False)


async def _flush_forever(flusher: MetricsFlusher, thread: ThreadPoolExecutor) -> None:
    loop = asyncio.get_running_loop()
    arrived = True
    while True:
        arrived = await loop.run_in_executor(thread, _flush, flusher, arrived)
        await asyncio.sleep(FLUSH_SECONDS)


def _flush(flusher: MetricsFlusher, arrived_before: bool) -> bool:
    """Whether it arrived. An outage is logged once, not every 15 s."""
    try:
        flusher.flush()
    except CacheUnavailable as error:
        if arrived_before:
            logger.warning("Metrics are kept in memory until Redis answers: %s", error)
        return False
    except Exception:
        logger.exception("The metrics' thread continues after an unexpected error")
        return False
    if not arrived_before:
        logger.info("Redis has the metrics that were kept in memory")
    return True


def _end(flusher: MetricsFlusher) -> None:
    try:
        flusher.end()
    except CacheUnavailable as error:
        logger.warning("The last metrics are lost: %s", error)
