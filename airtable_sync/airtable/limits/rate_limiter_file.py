"""The rate limiter's state on this machine: a file that all its processes share, under a lock that
each has for microseconds. While Redis is down, only this state counts. While Redis is up, it is
kept too, in case Redis loses its own."""

import fcntl
import hashlib
import json
import logging
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypedDict

logger = logging.getLogger(__name__)

LOCK_SECONDS = 0.25  # only a process that was stopped has the lock for longer
LOCK_RETRY_SECONDS = 0.001
NO_WAIT_SECONDS = 5.0  # then the lock is only tried, without waiting
# No symbolic link, and no pipe that would wait for its other end.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class HostState(TypedDict):
    starts: list[float]  # of the last requests, seconds since 1970
    blocked_by: str  # why Airtable must not be asked; "" if it may
    blocked_until: float
    uncounted: int  # requests that the monthly count in Redis does not include yet


class HostFile:
    def __init__(self, path: Path, starts_kept: int) -> None:
        self._path = path
        self._starts_kept = starts_kept
        self._memory = b""  # used if the file can't be written or locked
        self._has_warned = False
        self._waits_again_at = 0.0  # time.monotonic()
        self._memory_lock = threading.Lock()

    @contextmanager
    def locked(self) -> Iterator[HostState]:
        """The state, to be read and changed under its lock."""
        file = self._open()
        if file is None:
            yield from self._locked_memory()
            return
        try:
            if not self._lock(file):
                yield from self._locked_memory()
                return
            state = _decode(os.read(file, 65536) or self._memory)
            yield state
            self._write(file, self._encode(state))
        finally:
            os.close(file)  # also releases the lock

    def _write(self, file: int, content: bytes) -> None:
        try:
            os.pwrite(file, content, 0)
            os.ftruncate(file, len(content))
        except OSError as error:  # the disk is full
            self._memory = content
            with suppress(OSError):
                os.ftruncate(file, 0)
            self._warn(str(error))

    def _open(self) -> int | None:
        """None if there is no safe file: the temporary folder belongs to everyone, so another user
        may have put something else there."""
        try:
            file = os.open(self._path, _FLAGS, 0o600)
        except OSError as error:
            self._warn(str(error))
            return None
        found = os.fstat(file)
        is_own = found.st_uid == os.getuid() and found.st_nlink <= 1
        if is_own and stat.S_ISREG(found.st_mode):
            return file
        os.close(file)
        self._warn(f"{self._path} is not a file of this user.")
        return None

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "The rate limiter has no file, so each process limits its own requests while Redis "
                "is down. Make room there, or set TMPDIR to a folder of this user's own. %s",
                reason,
            )

    def _lock(self, file: int) -> bool:
        """Lock the file. False if another process does not release it in time."""
        started = time.monotonic()
        may_wait = started >= self._waits_again_at
        while not _try_lock(file):
            if not may_wait:
                return False
            if time.monotonic() - started > LOCK_SECONDS:
                self._waits_again_at = time.monotonic() + NO_WAIT_SECONDS
                logger.warning("The rate limiter's file stays locked; it is not used for a while.")
                return False
            time.sleep(LOCK_RETRY_SECONDS)
        return True

    def _locked_memory(self) -> Iterator[HostState]:
        with self._memory_lock:
            state = _decode(self._memory)
            yield state
            self._memory = self._encode(state)

    def _encode(self, state: HostState) -> bytes:
        return json.dumps({**state, "starts": state["starts"][-self._starts_kept :]}).encode()


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def host_file_path(api_url: str, base_id: str) -> Path:
    """One file per base and user: Airtable's limit is per base."""
    name = hashlib.sha256(f"{api_url} {base_id}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"siftly-{os.getuid()}-{name}.rate-limiter"


def _decode(content: bytes) -> HostState:
    """Ignores invalid content. Drops start times in the future: the clock was set back."""
    try:
        value: Any = json.loads(content)
        latest = time.time() + 1
        starts = [float(each) for each in value["starts"] if float(each) < latest]
        return HostState(
            starts=sorted(starts),
            blocked_by=str(value["blocked_by"]),
            blocked_until=float(value["blocked_until"]),
            uncounted=int(value["uncounted"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return HostState(starts=[], blocked_by="", blocked_until=0.0, uncounted=0)
