"""One budget for Airtable, over all processes: its limit of five requests a second holds for the
whole base, and exceeding it costs everybody half a minute.
https://airtable.com/developers/web/api/rate-limits"""

import threading
import time
from collections import deque
from pathlib import Path

from airtable_sync.store import CALLS, StoreUnavailable

STARTS = 5
WINDOW_SECONDS = 1.05  # a second, and what a request's way to Airtable may vary
_SCRIPT = Path(__file__).with_name("budget.lua").read_text(encoding="utf-8")

_starts: deque[float] = deque(maxlen=STARTS)
_lock = threading.Lock()


def wait_for_place(longest_seconds: float) -> bool:
    """Wait until one more request may start. False, at once, if that would take longer."""
    try:
        arguments = [STARTS, int(WINDOW_SECONDS * 1000), int(longest_seconds * 1000)]
        wait = CALLS.run(_SCRIPT, ["airtable_budget"], arguments) / 1000
    except StoreUnavailable:
        wait = _place_in_this_process(longest_seconds)
    if wait < 0:
        return False
    time.sleep(wait)
    return True


def _place_in_this_process(longest_seconds: float) -> float:
    with _lock:
        now = time.monotonic()
        earliest = _starts[0] + WINDOW_SECONDS if len(_starts) == STARTS else now
        start = max(now, earliest)
        if start - now > longest_seconds:
            return -1
        _starts.append(start)
    return start - now
