"""Waits for a condition in an event loop."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"It did not happen within {seconds} s."
        await asyncio.sleep(0.01)
