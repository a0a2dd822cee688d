"""The budget without Redis: a file that all processes of this host share, under a lock that each
holds for microseconds."""

import fcntl
import hashlib
import os
import tempfile
import time
from pathlib import Path

from django.conf import settings


def place_by_file(starts: int, window_seconds: float, longest_seconds: float) -> float:
    """The wait before a place that is now the caller's; if that would be too long, how long it
    would be, as a negative number."""
    file = os.open(_path(), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        now = time.time()
        times = _times(os.read(file, 4096), now + 60)
        earliest = times[-starts] + window_seconds if len(times) >= starts else now
        start = max(now, earliest)
        if start - now > longest_seconds:
            return now - start
        kept = [*times, start][-starts:]
        os.ftruncate(file, 0)
        os.pwrite(file, " ".join(map(repr, kept)).encode(), 0)
        return start - now
    finally:
        os.close(file)  # and with it the lock


def _times(content: bytes, latest: float) -> list[float]:
    """What is no time, or one far ahead (the clock was set back), does not count."""
    times = []
    for word in content.split():
        try:
            moment = float(word)
        except ValueError:
            continue
        if moment < latest:
            times.append(moment)
    return sorted(times)


def _path() -> Path:
    """One file a base and user: the limit is the base's."""
    base = f"{settings.AIRTABLE_API_URL} {settings.AIRTABLE_BASE_ID}"
    name = hashlib.sha256(base.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"siftly-{os.getuid()}-{name}.budget"
