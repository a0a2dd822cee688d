"""Waits for a condition, never for a time. Only a failing test needs the limits."""

import asyncio
import time
from collections.abc import Callable

SECONDS = 60.0


def wait_until(
    condition: Callable[[], object], seconds: float = SECONDS, *, pause: float = 0.01
) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"It did not happen within {seconds:.0f} s."
        time.sleep(pause)


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """The same in an event loop."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"It did not happen within {seconds:.0f} s."
        await asyncio.sleep(0.01)
