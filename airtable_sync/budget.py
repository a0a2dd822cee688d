"""One budget for Airtable, over all processes: its limit of five requests a second holds for the
whole base, and exceeding it costs everybody half a minute. Kept in Redis; without Redis, by a file
that the processes of a host share. Calls come first, a refresh uses what they leave.
https://airtable.com/developers/web/api/rate-limits"""

import calendar
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from airtable_sync.airtable_errors import AirtableError, QuotaExceeded, RateLimited
from airtable_sync.budget_file import wait_or_start_by_file
from airtable_sync.store import CALLS, StoreUnavailable

STARTS = 5
WINDOW_SECONDS = 1.08  # a second, and what a request's way to Airtable may vary
LEFT_TO_CALLS = 2  # of the five, while calls ask
CALL_REMEMBERED_SECONDS = 5.0
LOCKOUT_SECONDS = 30.0  # after RATE_LIMIT_REACHED nothing is answered for so long
QUOTA_PAUSE_SECONDS = 3600.0  # plans are changed and months turn: look again now and then
MONTH_KEPT_SECONDS = 70 * 24 * 3600
_SCRIPT = Path(__file__).with_name("budget.lua").read_text(encoding="utf-8")
_NAMES = ("airtable_starts", "airtable_calls_ask", "airtable_blocked")


@dataclass(frozen=True, slots=True)
class Month:
    """Requests to Airtable in a calendar month (UTC), and how many it will have been at its end."""

    month: str
    requests: int
    forecast: int


def wait_for_place(longest_seconds: float, *, is_call: bool) -> None:
    """Wait until one more request may start. Raises RateLimited, at once, if that takes longer,
    and what `block` was told of."""
    until = time.monotonic() + longest_seconds
    while (wait := _wait_or_start(is_call=is_call)) > 0:
        if time.monotonic() + wait > until:
            raise RateLimited("The budget of requests to Airtable is used up for now.")
        time.sleep(wait + 0.001)


def _wait_or_start(*, is_call: bool) -> float:
    """0 if a place is ours now; otherwise how long to wait before asking again."""
    arguments = [STARTS, int(WINDOW_SECONDS * 1000), int(is_call), LEFT_TO_CALLS]
    arguments += [int(CALL_REMEMBERED_SECONDS * 1000), MONTH_KEPT_SECONDS]
    try:
        names = [*_NAMES, _month_name(datetime.now(UTC))]
        wait, reason = CALLS.run(_SCRIPT, names, arguments)
    except StoreUnavailable:
        return wait_or_start_by_file(STARTS, WINDOW_SECONDS)
    if reason:
        raise _blocked(reason.decode(), wait / 1000)
    return float(wait) / 1000


def block(error: AirtableError) -> None:
    """Tell all processes that Airtable is not to be asked for a while."""
    pauses = {RateLimited: LOCKOUT_SECONDS, QuotaExceeded: _quota_pause(datetime.now(UTC))}
    seconds = pauses.get(type(error))
    if seconds is None:
        return
    try:
        CALLS.run(
            'return redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])',
            ["airtable_blocked"],
            [type(error).__name__, int(seconds * 1000)],
        )
    except StoreUnavailable:
        return  # each process finds out for itself


def _blocked(kind: str, seconds: float) -> AirtableError:
    if kind == QuotaExceeded.__name__:
        return QuotaExceeded("The plan's requests to Airtable of this month are used up.")
    return RateLimited(f"Airtable was asked too often; it answers again in {seconds:.0f} s.")


def _quota_pause(now: datetime) -> float:
    """Until the month turns, but look again every hour: the plan may have been changed."""
    days = calendar.monthrange(now.year, now.month)[1]
    end = now.replace(day=days, hour=23, minute=59, second=59)
    return min(QUOTA_PAUSE_SECONDS, (end - now).total_seconds() + 1)


def month(now: datetime | None = None) -> Month:
    """This month's requests so far. Raises StoreUnavailable."""
    now = now or datetime.now(UTC)
    name = _month_name(now)
    count = int(CALLS.recall(name) or 0)
    days = calendar.monthrange(now.year, now.month)[1]
    passed = max(1.0, now.day - 1 + now.hour / 24 + now.minute / 1440)
    return Month(f"{now:%Y-%m}", count, round(count * days / passed))


def _month_name(now: datetime) -> str:
    return f"airtable_requests:{now:%Y-%m}"
