"""Single-flight: each number is looked up once for all calls, in all processes.

Calls await a future and need no thread. While a lookup runs, further numbers queue up, and the
next lookup takes them all. If another process looks a number up, its entry arrives through the
replica, or a message says that the lookup failed. A process that dies loses its lease."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.replica import Replica
from airtable_sync.lookup.airtable_lookup import NUMBERS_PER_LOOKUP
from airtable_sync.lookup.leases import LeaseResult, LookupLeases
from airtable_sync.redis_client.connection import CacheUnavailable

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.005  # the calls of one burst arrive within it
LEASE_SECONDS = 3.0
LEASE_RENEW_SECONDS = 1.0
LOOKUP_SECONDS = 10.0  # also for a response that arrives slowly
RENEW_PAUSE_SECONDS = 30.0  # between tries to renew an entry that is served stale
MAX_RENEWED = 10_000
LOOKUP_THREADS, LEASE_THREADS = 4, 2
SLOW_SECONDS = 2.0  # numbers that wait do not wait longer for the lookup before theirs
NO_DEADLINE = float("-inf")

# Of numbers, until a deadline by `time.monotonic`. Blocks; the entries, and whether Redis was
# written. Raises AirtableError.
LookUp = Callable[[list[str], float], tuple[list[Entry], bool]]


class SingleFlight:
    """Belongs to one event loop at a time: use its methods there."""

    def __init__(self, replica: Replica, leases: LookupLeases, look_up: LookUp) -> None:
        self._replica = replica
        self._leases = leases
        self._look_up_and_cache = look_up
        self._lookup_threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")
        self._lease_threads = ThreadPoolExecutor(LEASE_THREADS, thread_name_prefix="lookup-lease")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start_empty()
        replica.on_change(self._replica_changed)

    def _start_empty(self) -> None:
        self._waiting: dict[str, asyncio.Future[Entry]] = {}
        self._queue: dict[str, None] = {}
        self._deadlines: dict[str, float] = {}  # of the call that waits longest
        self._running: set[asyncio.Task[None]] = set()  # lookups
        self._looked_up: set[str] = set()  # by these
        self._in_other_process: set[str] = set()  # being looked up
        self._renewed_at: dict[str, float] = {}
        self._runner: asyncio.Task[None] | None = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # futures of an earlier loop can't be awaited in this one
            self._start_empty()
            self._loop = loop
        return loop

    def look_up(self, number: str, deadline: float = NO_DEADLINE) -> asyncio.Future[Entry]:
        """The entry of a number: the same future for all calls. Await it shielded. Its exception
        is an AirtableError. A slow Airtable may take until `deadline`, by `time.monotonic`."""
        loop = self._running_loop()
        self._deadlines[number] = max(deadline, self._deadlines.get(number, NO_DEADLINE))
        future = self._waiting.get(number)
        if future is None:
            future = self._waiting[number] = loop.create_future()
            future.add_done_callback(_retrieve_exception)
            self._enqueue(number)
        return future

    def renew(self, number: str) -> None:
        """Look up a number that was just answered with a stale entry. Returns at once."""
        self._running_loop()
        now = time.monotonic()
        last = self._renewed_at.get(number, -RENEW_PAUSE_SECONDS)
        if number in self._waiting or now - last < RENEW_PAUSE_SECONDS:
            return
        if len(self._renewed_at) > MAX_RENEWED:
            self._renewed_at.clear()
        self._renewed_at[number] = now
        self.look_up(number)

    def lookup_failed_in_other_process(self, numbers: Collection[str]) -> None:
        """Another process's lookup failed. May be called from any thread."""
        if self._loop:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._try_here, numbers)

    def _try_here(self, numbers: Collection[str]) -> None:
        """A lookup that failed there (a lost connection, say) may succeed here."""
        for number in self._in_other_process.intersection(numbers):
            if self._is_served_stale(number):
                self._fail([number], Unavailable("Another process's lookup failed."))
            else:
                self._enqueue(number)

    # --- One lookup after the other --------------------------------------------------------------

    def _enqueue(self, number: str) -> None:
        self._in_other_process.discard(number)
        if number in self._looked_up:
            return  # its waiting calls get that answer
        if number in self._waiting and self._loop:
            self._queue[number] = None
            if self._runner is None or self._runner.done():
                self._runner = self._loop.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._queue:
            batch = list(self._queue)[:NUMBERS_PER_LOOKUP]
            for number in batch:
                del self._queue[number]
            task = self._running_loop().create_task(self._look_up_batch(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            has_thread = len(self._running) < LOOKUP_THREADS
            await asyncio.wait(
                self._running,
                timeout=SLOW_SECONDS if has_thread else None,
                return_when=asyncio.FIRST_COMPLETED,
            )

    async def _look_up_batch(self, batch: list[str]) -> None:
        try:
            await self._look_up(await self._with_lease(batch))
        except Exception as error:
            logger.exception("A lookup ended unexpectedly")
            reason = AirtableError(f"The lookup ended unexpectedly: {error!r}")
            await self._release_failed(batch, reason)

    async def _with_lease(self, numbers: list[str]) -> list[str]:
        """The numbers whose lease this process got. Without Redis: all."""
        loop = self._running_loop()
        try:
            results = await loop.run_in_executor(
                self._lease_threads, self._leases.acquire, numbers, LEASE_SECONDS
            )
        except CacheUnavailable:
            return numbers
        return [result.number for result in results if self._handle_lease(result)]

    def _handle_lease(self, result: LeaseResult) -> bool:
        """Use the cached entry, or wait for the other process. Returns whether this process looks
        the number up."""
        loop = self._running_loop()
        if result.entry and self._replica.is_fresh(result.entry):
            self._resolve([result.entry], saved=True)
            if result.acquired:
                loop.run_in_executor(self._lease_threads, self._extend, [result.number], 0.0)
            return False
        if not result.acquired:  # try again when the other process may have died
            self._in_other_process.add(result.number)
            loop.call_later(
                result.remaining_seconds + 0.05, self._other_may_have_died, result.number
            )
        return result.acquired

    def _other_may_have_died(self, number: str) -> None:
        if number in self._in_other_process:
            self._enqueue(number)

    async def _look_up(self, numbers: list[str]) -> None:
        if not numbers:
            return
        loop = self._running_loop()
        renewing = loop.create_task(self._renew_leases(numbers))
        self._looked_up.update(numbers)
        try:
            deadline = max(self._deadlines.get(number, NO_DEADLINE) for number in numbers)
            looking_up = loop.run_in_executor(
                self._lookup_threads, self._look_up_and_cache, numbers, deadline
            )
            seconds = max(LOOKUP_SECONDS, deadline - time.monotonic())
            entries, saved = await asyncio.wait_for(looking_up, seconds)
            self._looked_up.difference_update(numbers)
            self._resolve(entries, saved=saved)
        except TimeoutError:
            await self._lookup_failed(numbers, Unavailable("The lookup took too long."))
        except AirtableError as error:
            await self._lookup_failed(numbers, error)
        else:
            await self._extend_in_thread(numbers, 0.0)
        finally:
            self._looked_up.difference_update(numbers)
            renewing.cancel()

    async def _lookup_failed(self, numbers: list[str], error: AirtableError) -> None:
        logger.warning("Airtable can't be asked for %s: %s", _first_three(numbers), error)
        self._looked_up.difference_update(numbers)
        await self._release_failed(numbers, error)

    async def _release_failed(self, numbers: list[str], error: AirtableError) -> None:
        """Tell the other processes. An entry that is served stale is not looked up for a while."""
        stale = [number for number in numbers if self._is_served_stale(number)]
        self._fail(numbers, error)
        await self._extend_in_thread(stale, RENEW_PAUSE_SECONDS)
        cold = [number for number in numbers if number not in stale]
        await self._extend_in_thread(cold, 0.0, failed=numbers)

    def _is_served_stale(self, number: str) -> bool:
        entry = self._replica.get(number)
        return entry is not None and self._replica.is_servable(entry)

    async def _renew_leases(self, numbers: list[str]) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEW_SECONDS)
            await self._extend_in_thread(numbers, LEASE_SECONDS)

    async def _extend_in_thread(
        self, numbers: list[str], seconds: float, failed: Collection[str] = ()
    ) -> None:
        await self._running_loop().run_in_executor(
            self._lease_threads, self._extend, numbers, seconds, failed
        )

    def _extend(self, numbers: list[str], seconds: float, failed: Collection[str] = ()) -> None:
        try:
            self._leases.extend(numbers, seconds, failed)
        except CacheUnavailable as error:
            logger.debug("Leases were not extended; they expire by themselves: %s", error)

    # --- Waiting calls -------------------------------------------------------------------------

    def _resolve(self, entries: Iterable[Entry], *, saved: bool) -> None:
        for entry in entries:
            self._replica.keep(entry, saved=saved)
            self._renewed_at.pop(entry.number, None)  # the pause is for failures
            self._in_other_process.discard(entry.number)
            self._deadlines.pop(entry.number, None)
            if (future := self._waiting.pop(entry.number, None)) and not future.done():
                future.set_result(entry)

    def _fail(self, numbers: Iterable[str], error: AirtableError) -> None:
        for number in numbers:
            self._in_other_process.discard(number)
            self._deadlines.pop(number, None)
            if (future := self._waiting.pop(number, None)) and not future.done():
                future.set_exception(error)

    def _replica_changed(self, numbers: Collection[str]) -> None:
        """Called in the replica's thread."""
        if self._waiting and self._loop:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._resolve_changed, numbers)

    def _resolve_changed(self, numbers: Collection[str]) -> None:
        """Another process may have looked the number up, and calls of this process wait for it."""
        for number in self._waiting.keys() & set(numbers):
            entry = self._replica.get(number)
            if entry and (self._replica.is_fresh(entry) or self._is_enough(entry)):
                self._resolve([entry], saved=True)
            elif (
                number in self._in_other_process
            ):  # the replica may have only numbers that were called
                self._enqueue(number)

    def _is_enough(self, entry: Entry) -> bool:
        """A stale entry is enough for calls that had none. A renewal goes on."""
        return entry.number not in self._renewed_at and self._replica.is_servable(entry)


def _first_three(numbers: list[str]) -> str:
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return ", ".join(numbers[:3]) + more


def _retrieve_exception(future: asyncio.Future[Entry]) -> None:
    """Otherwise asyncio logs the exception of a future that no caller awaits any more."""
    if not future.cancelled():
        future.exception()
