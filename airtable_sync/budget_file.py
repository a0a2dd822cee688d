"""The budget without Redis: a file that all processes of this host share, under a lock that each
holds for microseconds."""

import fcntl
import hashlib
import os
import tempfile
import time
from pathlib import Path

from django.conf import settings


def wait_or_start_by_file(starts: int, window_seconds: float) -> float:
    """0 if a place is the caller's now; otherwise how long to wait before asking again."""
    file = os.open(_path(), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        now = time.time()
        times = _times(os.read(file, 4096), now + 60)
        earliest = times[-starts] + window_seconds if len(times) >= starts else now
        if earliest > now:
            return min(earliest - now, window_seconds)
        kept = [*times, now][-starts:]
        os.ftruncate(file, 0)
        os.pwrite(file, " ".join(map(repr, kept)).encode(), 0)
        return 0.0
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
