"""This host's part of the budget: a file that its processes share, under a lock that each holds for
microseconds. Without Redis it is the budget; beside Redis it remembers what Redis may lose."""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from django.conf import settings

logger = logging.getLogger(__name__)


class HostBudget(TypedDict):
    starts: list[float]  # of the last requests, seconds since the epoch
    blocked_by: str  # why Airtable is not to be asked; "" if it may be
    blocked_until: float
    uncounted: int  # requests that Redis has not counted for the month yet


_memory = ""  # of this process alone, where no file can be written
_memory_lock = threading.Lock()


@contextmanager
def host_budget(kept_starts: int) -> Iterator[HostBudget]:
    """The budget, to be read and changed under its lock."""
    try:
        file = os.open(_path(), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        logger.debug("No file for the budget, each process keeps its own: %s", error)
        yield from _in_memory(kept_starts)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        budget = _read(os.read(file, 65536))
        yield budget
        content = _written(budget, kept_starts).encode()
        os.ftruncate(file, 0)
        os.pwrite(file, content, 0)
    finally:
        os.close(file)  # and with it the lock


def _in_memory(kept_starts: int) -> Iterator[HostBudget]:
    global _memory  # noqa: PLW0603 - the last resort of a process on its own
    with _memory_lock:
        budget = _read(_memory.encode())
        yield budget
        _memory = _written(budget, kept_starts)


def _read(content: bytes) -> HostBudget:
    """What makes no sense, or lies ahead (the clock was set back), does not count."""
    try:
        value: Any = json.loads(content)
        latest = time.time() + 1
        starts = [float(each) for each in value["starts"] if float(each) < latest]
        return HostBudget(
            starts=sorted(starts),
            blocked_by=str(value["blocked_by"]),
            blocked_until=float(value["blocked_until"]),
            uncounted=int(value["uncounted"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return HostBudget(starts=[], blocked_by="", blocked_until=0.0, uncounted=0)


def _written(budget: HostBudget, kept_starts: int) -> str:
    return json.dumps({**budget, "starts": budget["starts"][-kept_starts:]})


def _path() -> Path:
    """One file a base and user: the limit is the base's."""
    base = f"{settings.AIRTABLE_API_URL} {settings.AIRTABLE_BASE_ID}"
    name = hashlib.sha256(base.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"siftly-{os.getuid()}-{name}.budget"
