"""Lookups of this process, one at a time: each number once for all who ask, in all processes.

Callers wait for a future: they cost no thread. While a lookup is under way further numbers gather,
and the next one takes them all. What another process is looking up is waited for: its entry comes
by the replica, or word that the lookup failed; a process that dies over it loses its lease."""

import asyncio
import logging
import secrets
import time
import weakref
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from django.conf import settings
from interlock import CircuitOpenError, State

from airtable_sync.airtable import circuit_breakers
from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.cache.entry import Entry
from airtable_sync.cache.redis_store import CALLS, CacheUnavailable, Claim, Outcome
from airtable_sync.cache.replica import Replica, of_this_process
from airtable_sync.lookup.airtable_lookup import AIRTABLE, PROBING, look_up

logger = logging.getLogger(__name__)

AT_ONCE = 100
GATHER_SECONDS = 0.005  # callers of one burst arrive within it
LEASE_SECONDS = 3.0
LEASE_RENEWED_SECONDS = 1.0
LOOKUP_SECONDS = 10.0  # even of an answer that trickles in
PAUSE_SECONDS = 30.0  # between tries to renew an entry that is served stale meanwhile

_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="lookup")
_REDIS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="claim")


class Lookups:
    """Belongs to one event loop; what it needs waits in threads of its own."""

    def __init__(self, replica: Replica) -> None:
        self._loop = asyncio.get_running_loop()
        self._replica = replica
        self._token = secrets.token_hex(8)
        self._waiting: dict[str, asyncio.Future[Entry]] = {}
        self._queue: dict[str, None] = {}
        self._elsewhere: set[str] = set()  # being looked up by other processes
        self._renewed_at: dict[str, float] = {}
        self._runner: asyncio.Task[None] | None = None
        replica.on_change(self._tell_loop)

    def of(self, number: str) -> asyncio.Future[Entry]:
        """The entry of a number, looked up; the same future for all who ask meanwhile. Await it
        shielded. Its exception is an AirtableError."""
        future = self._waiting.get(number)
        if future is None:
            future = self._waiting[number] = self._loop.create_future()
            future.add_done_callback(_retrieve)
            self._enqueue(number)
        return future

    def renew(self, number: str) -> None:
        """Look a number up that was just answered with an older entry. Nobody waits."""
        now = time.monotonic()
        if (
            number in self._waiting
            or now - self._renewed_at.get(number, -PAUSE_SECONDS) < PAUSE_SECONDS
        ):
            return
        if len(self._renewed_at) > 10_000:
            self._renewed_at.clear()
        self._renewed_at[number] = now
        self.of(number)

    def failed_elsewhere(self, numbers: Collection[str]) -> None:
        """Another process's lookup failed; called from any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._try_here, numbers)

    def _try_here(self, numbers: Collection[str]) -> None:
        """What failed there may work here (it was cut off, say), if anybody waits for it."""
        for number in self._elsewhere.intersection(numbers):
            if self._is_served_stale(number):
                self._fail([number], Unavailable("Another process's lookup failed."))
            else:
                self._enqueue(number)

    def __len__(self) -> int:
        return len(self._waiting)

    # --- one lookup after the other --------------------------------------------------------------

    def _enqueue(self, number: str) -> None:
        self._elsewhere.discard(number)
        if number in self._waiting:
            self._queue[number] = None
            if self._runner is None or self._runner.done():
                self._runner = self._loop.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._queue:
            batch = list(self._queue)[:AT_ONCE]
            for number in batch:
                del self._queue[number]
            try:
                await self._look_up(await self._claimed(batch))
            except Exception as error:
                logger.exception("A lookup ended unforeseen")
                reason = AirtableError(f"The lookup ended unforeseen: {error!r}")
                await self._give_back_failed(batch, reason)

    async def _claimed(self, numbers: list[str]) -> list[str]:
        """Those that are ours to look up: without Redis, all of them."""
        try:
            claims = await self._loop.run_in_executor(
                _REDIS, CALLS.claim, numbers, self._token, LEASE_SECONDS
            )
        except CacheUnavailable:
            return numbers
        return [claim.number for claim in claims if self._is_ours(claim)]

    def _is_ours(self, claim: Claim) -> bool:
        if claim.entry and self._replica.is_fresh(claim.entry):
            self._resolve([claim.entry], saved=True)
            if claim.ours:
                self._loop.run_in_executor(_REDIS, _hold, [claim.number], self._token, 0.0, "")
            return False
        if not claim.ours:  # look again when its holder could be dead
            self._elsewhere.add(claim.number)
            self._loop.call_later(claim.lease_seconds + 0.05, self._enqueue, claim.number)
        return claim.ours

    async def _look_up(self, numbers: list[str]) -> None:
        if not numbers:
            return
        holding = self._loop.create_task(self._hold(numbers))
        try:
            entries, saved = await asyncio.wait_for(
                self._loop.run_in_executor(_THREADS, _look_up_and_cache, numbers), LOOKUP_SECONDS
            )
            self._resolve(entries, saved=saved)
        except (AirtableError, TimeoutError) as error:
            reason = (
                Unavailable("The lookup took too long.")
                if isinstance(error, TimeoutError)
                else error
            )
            logger.warning("Airtable can't be asked for %s: %s", _some(numbers), reason)
            await self._give_back_failed(numbers, reason)
        else:
            await self._give_back(numbers, 0.0)
        finally:
            holding.cancel()

    async def _give_back_failed(self, numbers: list[str], error: AirtableError) -> None:
        """Who waits elsewhere is told. What is served stale meanwhile is left alone for a while."""
        stale = [number for number in numbers if self._is_served_stale(number)]
        self._fail(numbers, error)
        await self._give_back(stale, PAUSE_SECONDS)
        cold = [number for number in numbers if number not in stale]
        await self._give_back(cold, 0.0, failed=numbers)

    def _is_news_to_callers(self, entry: Entry) -> bool:
        """An older entry answers those who had none; a renewal goes on."""
        return entry.number not in self._renewed_at and self._replica.is_servable(entry)

    def _is_served_stale(self, number: str) -> bool:
        entry = self._replica.get(number)
        return entry is not None and self._replica.is_servable(entry)

    async def _give_back(
        self, numbers: list[str], seconds: float, failed: Collection[str] = ()
    ) -> None:
        await self._loop.run_in_executor(
            _REDIS, _hold, numbers, self._token, seconds, ",".join(failed)
        )

    async def _hold(self, numbers: list[str]) -> None:
        """Keep the leases while the lookup takes its time. A process that dies loses them."""
        while True:
            await asyncio.sleep(LEASE_RENEWED_SECONDS)
            await self._give_back(numbers, LEASE_SECONDS)

    # --- who waits -------------------------------------------------------------------------------

    def _resolve(self, entries: Iterable[Entry], *, saved: bool) -> None:
        for entry in entries:
            self._replica.keep(entry, saved=saved)
            self._renewed_at.pop(entry.number, None)  # the pause is for failures
            self._elsewhere.discard(entry.number)
            if (future := self._waiting.pop(entry.number, None)) and not future.done():
                future.set_result(entry)

    def _fail(self, numbers: Iterable[str], error: AirtableError) -> None:
        for number in numbers:
            self._elsewhere.discard(number)
            if (future := self._waiting.pop(number, None)) and not future.done():
                future.set_exception(error)

    def _tell_loop(self, numbers: Collection[str]) -> None:
        if self._waiting:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._changed, numbers)

    def _changed(self, numbers: Collection[str]) -> None:
        """The replica has news: perhaps what another process looked up for our callers."""
        for number in self._waiting.keys() & set(numbers):
            entry = self._replica.get(number)
            if entry and (self._replica.is_fresh(entry) or self._is_news_to_callers(entry)):
                self._resolve([entry], saved=True)
            elif number in self._elsewhere:  # the replica may hold only what was called for
                self._enqueue(number)


def asked_for(numbers: list[str]) -> list[Entry]:
    """The entries, looked up through the breaker; they are not cached. Raises AirtableError."""
    try:
        with circuit_breakers.AIRTABLE:
            probing = circuit_breakers.AIRTABLE.state is State.HALF_OPEN
            return list(look_up(numbers, PROBING if probing else AIRTABLE).values())
    except CircuitOpenError as error:
        raise Unavailable("Airtable has failed again and again and is left alone.") from error


def _look_up_and_cache(numbers: list[str]) -> tuple[list[Entry], bool]:
    """In a thread: the entries, and whether Redis was told of them. Raises AirtableError."""
    entries = asked_for(numbers)
    if not settings.REDIS_URL:
        return entries, True  # there is nobody to tell
    try:
        outcomes = CALLS.write(entries, announce_unchanged=True)
    except CacheUnavailable as error:
        logger.warning("Not cached: %s", error)
        return entries, False
    for number, outcome in outcomes.items():
        if outcome in ("added", "changed", "unchanged"):
            logger.info("Cached data for %s in Redis", number)
    return _with_the_newer(entries, outcomes), True


def _with_the_newer(entries: list[Entry], outcomes: Mapping[str, Outcome]) -> list[Entry]:
    """Where Redis kept what it had, that is the answer: also if it has nothing, since all of
    Airtable was read meanwhile."""
    kept = [number for number, outcome in outcomes.items() if outcome == "older"]
    try:
        newer = {entry.number: entry for entry in CALLS.read_many(kept)}
    except CacheUnavailable:
        return entries
    gone = {each.number: replace(each, config=None) for each in entries if each.number in kept}
    return [{**gone, **newer}.get(entry.number, entry) for entry in entries]


def _hold(numbers: list[str], token: str, seconds: float, failed: str) -> None:
    try:
        CALLS.hold(numbers, token, seconds, failed)
    except CacheUnavailable as error:
        logger.debug("Leases end by themselves: %s", error)


def _some(numbers: list[str]) -> str:
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return ", ".join(numbers[:3]) + more


def _retrieve(future: asyncio.Future[Entry]) -> None:
    """Whether anybody still waits or not, its exception has been seen (and logged, once)."""
    if not future.cancelled():
        future.exception()


_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Lookups] = (
    weakref.WeakKeyDictionary()
)


def of_this_loop() -> Lookups:
    loop = asyncio.get_running_loop()
    if loop not in _of_loops:
        _of_loops[loop] = Lookups(of_this_process())
    return _of_loops[loop]
