"""One rate limiter for Airtable, shared by all processes: Airtable allows five requests a second
per base, and rejects everything for half a minute after more. The state is in Redis and, for when
Redis is down, in a file on each machine. Calls have priority over refreshes.
https://airtable.com/developers/web/api/rate-limits"""

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from airtable_sync.airtable.errors import (
    AirtableError,
    LocallyKnownQuotaExceeded,
    LocallyRateLimited,
    LocallyUnavailable,
    QuotaExceeded,
    RateLimited,
    Unavailable,
)
from airtable_sync.airtable.limits.monthly_usage import (
    KEPT_SECONDS,
    MonthlyUsage,
    monthly_usage,
    seconds_until_next_month,
    usage_key,
    utc_now,
)
from airtable_sync.airtable.limits.rate_limiter_file import HostFile, HostState
from airtable_sync.airtable.retry_after import MAX_SECONDS
from airtable_sync.cache.redis_store import RedisStore
from airtable_sync.redis_client.connection import CacheUnavailable
from airtable_sync.redis_client.namespace import SHARED_BY_BASE
from airtable_sync.redis_client.scripts import load_script

STARTS_PER_WINDOW = 5
WINDOW_SECONDS = 1.08  # a second, and the variation of a request's travel time
PUNCTUAL_SECONDS = 0.02  # a request that is sent later counts from then
STARTS_LEFT_TO_CALLS = 2
CALL_REMEMBERED_SECONDS = 5.0
LOCKOUT_SECONDS = 30.0  # after RATE_LIMIT_REACHED
BLOCKED_KEY = f"{SHARED_BY_BASE}blocked"
STARTS_KEY = f"{SHARED_BY_BASE}starts"
_KEYS = (
    STARTS_KEY,
    f"{SHARED_BY_BASE}calls_asking",
    f"{SHARED_BY_BASE}refreshed_at",
    f"{SHARED_BY_BASE}refresh_waiting",
    BLOCKED_KEY,
)
_ACQUIRE = load_script(__file__, "rate_limiter.lua")
_MOVE_START = """
-- KEYS: the last starts; ARGV: the start to move to now (ms), starts per window, window (ms)
local time = redis.call("TIME")
redis.call("LREM", KEYS[1], 1, ARGV[1])
redis.call("LPUSH", KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("LTRIM", KEYS[1], 0, ARGV[2] - 1)
redis.call("PEXPIRE", KEYS[1], ARGV[3])
"""
_BLOCK = """
if ARGV[1] == "" then return redis.call("DEL", KEYS[1]) end
if redis.call("PTTL", KEYS[1]) > tonumber(ARGV[2]) then return end -- a longer one stays
return redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
"""


class AirtableCounters(Protocol):
    """Counts what the rate limiter does, for the metrics."""

    def airtable_requested(self) -> None: ...

    def rate_limiter_waited(self, seconds: float) -> None: ...

    def airtable_rate_limited(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one request, now."""

    requested_at: float  # time.monotonic()
    host_start: float  # its start in the host file, seconds since 1970
    redis_start: int  # its start in Redis, ms; 0 if Redis does not have it


class RateLimiter:
    def __init__(
        self,
        store: RedisStore,
        host_file: HostFile,
        counters: AirtableCounters,
        starts_per_window: int = STARTS_PER_WINDOW,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._store = store
        self._host_file = host_file
        self._counters = counters
        self.starts_per_window = starts_per_window
        self.window_seconds = window_seconds

    def acquire(self, max_wait_seconds: float, *, is_call: bool) -> Permit:
        """Wait for a permit. Raises LocallyRateLimited as soon as the wait would be longer, and
        LocallyRateLimited or LocallyKnownQuotaExceeded while Airtable is blocked."""
        started = time.monotonic()
        until = started + max_wait_seconds
        waited = False
        while not isinstance(wait := self._try_acquire(is_call=is_call), Permit):
            if time.monotonic() + wait > until:
                raise LocallyRateLimited("Too many requests to Airtable are waiting.")
            waited = True
            time.sleep(wait + 0.001)
        self._counters.airtable_requested()
        if waited:
            self._counters.rate_limiter_waited(time.monotonic() - started)
        return wait

    def request_sent(self, permit: Permit) -> None:
        """If the request was sent late (this process or Redis was slow), it counts from now:
        otherwise the requests after it would meet it in Airtable's second."""
        if time.monotonic() - permit.requested_at < PUNCTUAL_SECONDS:
            return
        with self._host_file.locked() as host:
            _move_to_now(host, permit.host_start)
        if permit.redis_start:
            arguments = [permit.redis_start, self.starts_per_window, _ms(self.window_seconds)]
            with suppress(CacheUnavailable):
                self._store.run_script(_MOVE_START, [STARTS_KEY], arguments)

    def block(self, error: AirtableError) -> None:
        """After these errors no process asks Airtable for a while: as long as Airtable says, else
        as long as it documents."""
        if type(error) is RateLimited:
            self._counters.airtable_rate_limited()
            seconds = LOCKOUT_SECONDS if error.retry_after is None else error.retry_after
            self._block(RateLimited.__name__, seconds)
        elif type(error) is Unavailable and error.retry_after:
            self._block(Unavailable.__name__, error.retry_after)
        elif type(error) is QuotaExceeded:
            self._block(QuotaExceeded.__name__, seconds_until_next_month(utc_now()))

    def unblock(self) -> None:
        """Ask Airtable again: an operator changed the plan, or wants to check."""
        self._block("", 0)

    def is_quota_exceeded_here(self) -> bool:
        """Whether this machine knows that the quota is exceeded."""
        with self._host_file.locked() as host:
            is_blocked = time.time() < host["blocked_until"]
            return is_blocked and host["blocked_by"] == QuotaExceeded.__name__

    def usage(self) -> MonthlyUsage:
        """This month's requests. Raises CacheUnavailable."""
        now = utc_now()
        return monthly_usage(int(self._store.get(usage_key(now)) or 0), now)

    def _try_acquire(self, *, is_call: bool) -> float | Permit:
        """A permit, or the seconds to wait before asking again.

        The start goes into the host file before Redis is asked: meanwhile another process, which
        can't reach Redis, may take permits by the file."""
        requested_at, start = time.monotonic(), time.time()
        with self._host_file.locked() as host:
            host_wait = self._host_wait(host)
            if host_wait == 0:
                host["starts"].append(start)
            uncounted = host["uncounted"]
        try:
            # Redis is asked also if this machine has to wait: a refresh must notice a call.
            wait, redis_start = self._ask_redis(uncounted + 1, host_wait, is_call=is_call)
        except CacheUnavailable:
            return host_wait or self._permit_without_redis(start)
        except AirtableError:
            self._cancel(start)
            raise
        if wait > 0:
            self._cancel(start)
            return wait
        with self._host_file.locked() as host:
            start = _move_to_now(host, start)
            host["uncounted"] = max(0, host["uncounted"] - uncounted)
        return Permit(requested_at, start, redis_start)

    def _ask_redis(self, count: int, host_wait: float, *, is_call: bool) -> tuple[float, int]:
        """The seconds to wait, and the start (ms) if there is no wait."""
        arguments = [
            self.starts_per_window,
            _ms(self.window_seconds),
            int(is_call),
            STARTS_LEFT_TO_CALLS,
            _ms(CALL_REMEMBERED_SECONDS),
            count,
            KEPT_SECONDS,
            math.ceil(host_wait * 1000),
        ]
        names = [*_KEYS, usage_key(utc_now())]
        wait, reason, *start = self._store.run_script(_ACQUIRE, names, arguments)
        if reason:
            raise _blocked_error(reason.decode(), wait / 1000)
        return float(wait) / 1000, int(start[0]) if start else 0

    def _permit_without_redis(self, start: float) -> Permit:
        with self._host_file.locked() as host:
            if (left := _blocked_seconds(host)) > 0:
                _remove(host, start)
                raise _blocked_error(host["blocked_by"], left)
            start = _move_to_now(host, start)
            host["uncounted"] += 1
        return Permit(time.monotonic(), start, 0)

    def _cancel(self, start: float) -> None:
        with self._host_file.locked() as host:
            _remove(host, start)

    def _host_wait(self, host: HostState) -> float:
        """By this machine's own starts. Longer than Redis' wait only if Redis lost its state."""
        starts = host["starts"]
        limit = self.starts_per_window
        earliest = starts[-limit] + self.window_seconds if len(starts) >= limit else 0.0
        return max(0.0, earliest - time.time())

    def _block(self, reason: str, seconds: float) -> None:
        with self._host_file.locked() as host:
            until = time.time() + seconds
            if not reason or until > time.time() + _blocked_seconds(host):  # a longer one stays
                host["blocked_by"], host["blocked_until"] = reason, until
        with suppress(CacheUnavailable):  # then other machines find out for themselves
            self._store.run_script(_BLOCK, [BLOCKED_KEY], [reason, int(seconds * 1000)])


def _move_to_now(host: HostState, start: float) -> float:
    """The request starts now, which is later than first noted."""
    _remove(host, start)
    host["starts"].append(now := time.time())
    return now


def _remove(host: HostState, start: float) -> None:
    with suppress(ValueError):  # not added, as this machine had to wait; or the file was deleted
        host["starts"].remove(start)


def _blocked_seconds(host: HostState) -> float:
    """0 also for a moment that is too far away: the clock was set back."""
    left = host["blocked_until"] - time.time()
    is_too_long = host["blocked_by"] != QuotaExceeded.__name__ and left > MAX_SECONDS + 1
    return 0.0 if is_too_long else left


def _blocked_error(reason: str, seconds: float) -> AirtableError:
    if reason == QuotaExceeded.__name__:
        return LocallyKnownQuotaExceeded(
            "The plan's requests to Airtable of this month are used up."
        )
    answers = f"it answers in {seconds:.0f} s."
    error: AirtableError = LocallyRateLimited(f"Airtable's rate limit was exceeded; {answers}")
    if reason == Unavailable.__name__:
        error = LocallyUnavailable(f"Airtable is unavailable; {answers}")
    error.retry_after = max(0.0, seconds)
    return error


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
