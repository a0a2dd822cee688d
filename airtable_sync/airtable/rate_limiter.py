"""One budget for Airtable, over all processes: its limit of five requests a second holds for the
whole base, and exceeding it costs everybody half a minute. Kept in Redis; without Redis, by a file
that the processes of a host share. Calls come first, a refresh uses what they leave.
https://airtable.com/developers/web/api/rate-limits"""

import calendar
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from airtable_sync.airtable.errors import (
    AirtableError,
    LocallyKnownQuotaExceeded,
    LocallyRateLimited,
    QuotaExceeded,
    RateLimited,
)
from airtable_sync.airtable.rate_limiter_file import HostBudget, host_budget
from airtable_sync.cache.redis_store import CALLS, CacheUnavailable
from airtable_sync.monitoring.metrics import counters
from airtable_sync.redis_client.scripts import load_script

STARTS = 5
WINDOW_SECONDS = 1.08  # a second, and what a request's way to Airtable may vary
PUNCTUAL_SECONDS = 0.02  # a request that goes out later than that counts from then
LEFT_TO_CALLS = 2  # of the five, while calls ask
CALL_REMEMBERED_SECONDS = 5.0
LOCKOUT_SECONDS = 30.0  # after RATE_LIMIT_REACHED nothing is answered for so long
MONTH_KEPT_SECONDS = 70 * 24 * 3600
_SCRIPT = load_script(__file__, "rate_limiter.lua")
BLOCKED = "airtable_blocked"
_NAMES = (
    "airtable_starts",
    "airtable_calls_ask",
    "airtable_refreshed_at",
    "airtable_refresh_waits",
    BLOCKED,
)

_MOVE = """
-- KEYS: the list of the last starts (ms), newest first
-- ARGV: the start to be moved to now, starts per window, window (ms)
local time = redis.call("TIME")
redis.call("LREM", KEYS[1], 1, ARGV[1])
redis.call("LPUSH", KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("LTRIM", KEYS[1], 0, ARGV[2] - 1)
redis.call("PEXPIRE", KEYS[1], ARGV[3])
"""


@dataclass(frozen=True, slots=True)
class Month:
    """Requests to Airtable in a calendar month (UTC), and how many it will have been at its end."""

    month: str
    requests: int
    forecast: int


@dataclass(frozen=True, slots=True)
class Place:
    """Leave for one request, to be made now."""

    given_at: float  # time.monotonic(), at the latest
    noted: float  # its start in the host's file, seconds since the epoch
    in_redis: int  # its start there, ms; 0 where Redis does not know of it

    def used(self) -> None:
        """The request has gone out. If that was late (Redis' word, or this process, was held up),
        it counts from now: else others would meet it in Airtable's second."""
        if time.monotonic() - self.given_at < PUNCTUAL_SECONDS:
            return
        with host_budget(STARTS) as host:
            _started(host, self.noted)
        if self.in_redis:
            with suppress(CacheUnavailable):
                CALLS.run(_MOVE, _NAMES[:1], [self.in_redis, STARTS, _ms(WINDOW_SECONDS)])


def wait_for_place(longest_seconds: float, *, is_call: bool) -> Place:
    """Wait until one more request may start. Raises LocallyRateLimited, at once, if that takes longer,
    and what `block` was told of."""
    started = time.monotonic()
    until = started + longest_seconds
    waited = False
    while not isinstance(wait := _wait_or_place(is_call=is_call), Place):
        if time.monotonic() + wait > until:
            raise LocallyRateLimited("The budget of requests to Airtable is used up for now.")
        waited = True
        time.sleep(wait + 0.001)
    counters.happened("airtable_requests")
    if waited:
        counters.budget_waited(time.monotonic() - started)
    return wait


def _wait_or_place(*, is_call: bool) -> float | Place:
    """A place, if one is ours now; otherwise how long to wait before asking again.

    The start is noted in the host's file before Redis is asked: another process, for which Redis is
    away, may be taking places by the file meanwhile.
    """
    read_at, noted = time.monotonic(), time.time()
    with host_budget(STARTS) as host:
        host_wait = _host_wait(host)
        if host_wait == 0:
            host["starts"].append(noted)
        uncounted = host["uncounted"]
    try:
        # Also if this host has to wait: a refresh has to hear that a call asks.
        wait, start = _ask_redis(uncounted + 1, host_wait, is_call=is_call)
    except CacheUnavailable:
        return host_wait or _started_without_redis(noted)
    except AirtableError:
        _not_started(noted)
        raise
    if wait > 0:
        _not_started(noted)
        return wait
    with host_budget(STARTS) as host:
        noted = _started(host, noted)
        host["uncounted"] = max(0, host["uncounted"] - uncounted)
    return Place(read_at, noted, start)


def _ask_redis(count: int, host_wait: float, *, is_call: bool) -> tuple[float, int]:
    """How long to wait; if not at all, the start (ms)."""
    arguments = [STARTS, _ms(WINDOW_SECONDS), int(is_call), LEFT_TO_CALLS]
    arguments += [_ms(CALL_REMEMBERED_SECONDS), count, MONTH_KEPT_SECONDS]
    arguments.append(math.ceil(host_wait * 1000))
    names = [*_NAMES, month_name(datetime.now(UTC))]
    wait, reason, *start = CALLS.run(_SCRIPT, names, arguments)
    if reason:
        raise _blocked(reason.decode(), wait / 1000)
    return float(wait) / 1000, int(start[0]) if start else 0


def _started_without_redis(noted: float) -> Place:
    with host_budget(STARTS) as host:
        if time.time() < host["blocked_until"]:
            _strike_out(host, noted)
            raise _blocked(host["blocked_by"], host["blocked_until"] - time.time())
        noted = _started(host, noted)
        host["uncounted"] += 1
    return Place(time.monotonic(), noted, 0)


def _started(host: HostBudget, noted: float) -> float:
    """The request starts now, which is later than noted."""
    _strike_out(host, noted)
    host["starts"].append(now := time.time())
    return now


def _not_started(noted: float) -> None:
    with host_budget(STARTS) as host:
        _strike_out(host, noted)


def _strike_out(host: HostBudget, noted: float) -> None:
    with suppress(ValueError):  # the file may have been lost meanwhile
        host["starts"].remove(noted)


def _host_wait(host: HostBudget) -> float:
    """By what this host has started: no more than Redis knows, unless Redis has lost it."""
    starts = host["starts"]
    earliest = starts[-STARTS] + WINDOW_SECONDS if len(starts) >= STARTS else 0.0
    return max(0.0, earliest - time.time())


def block(error: AirtableError) -> None:
    """Tell all processes that Airtable is not to be asked for a while."""
    if type(error) is RateLimited:
        counters.happened("rate_limited")
        _block(RateLimited.__name__, LOCKOUT_SECONDS)
    elif type(error) is QuotaExceeded:
        _block(QuotaExceeded.__name__, _until_the_month_turns(datetime.now(UTC)))


def unblock() -> None:
    """Ask Airtable again, whatever it said: an operator knows of another plan, or wants to see."""
    _block("", 0)


def is_quota_used_up_here() -> bool:
    """As this host was told. What others were told is among `telemetry.marks`."""
    with host_budget(STARTS) as host:
        is_blocked = time.time() < host["blocked_until"]
        return is_blocked and host["blocked_by"] == QuotaExceeded.__name__


def _block(reason: str, seconds: float) -> None:
    with host_budget(STARTS) as host:
        host["blocked_by"], host["blocked_until"] = reason, time.time() + seconds
    script = """
    if ARGV[1] == "" then return redis.call("DEL", KEYS[1]) end
    return redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
    """
    try:
        CALLS.run(script, [BLOCKED], [reason, int(seconds * 1000)])
    except CacheUnavailable:
        return  # this host knows; others find out for themselves


def _blocked(reason: str, seconds: float) -> AirtableError:
    if reason == QuotaExceeded.__name__:
        return LocallyKnownQuotaExceeded(
            "The plan's requests to Airtable of this month are used up."
        )
    return LocallyRateLimited(f"Airtable was asked too often; it answers again in {seconds:.0f} s.")


def _until_the_month_turns(now: datetime) -> float:
    days = calendar.monthrange(now.year, now.month)[1]
    end = now.replace(day=days, hour=23, minute=59, second=59, microsecond=0)
    return (end - now).total_seconds() + 1


def month(now: datetime | None = None) -> Month:
    """This month's requests so far. Raises CacheUnavailable."""
    now = now or datetime.now(UTC)
    return monthly_usage(int(CALLS.recall(month_name(now)) or 0), now)


def monthly_usage(count: int, now: datetime) -> Month:
    """The month with so many requests so far, and its forecast."""
    days = calendar.monthrange(now.year, now.month)[1]
    passed = max(1.0, now.day - 1 + now.hour / 24 + now.minute / 1440)
    return Month(f"{now:%Y-%m}", count, round(count * days / passed))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def month_name(now: datetime) -> str:
    return f"airtable_requests:{now:%Y-%m}"
