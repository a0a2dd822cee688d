"""A refresh in a child process, for a process that answers calls: reading a large base there would
delay them, and the memory that it took would stay. The child has a lower priority, and ends with
this process, however that ends: it watches its standard input."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from airtable_sync.airtable.errors import AirtableError, Unavailable
from airtable_sync.refresh.lock import RefreshInProgress
from airtable_sync.refresh.validation import RefreshRejected

LOWEST_PRIORITY = 19


def refresh_in_child_process(folder: Path) -> None:
    """Waits for its end. Raises RefreshInProgress and RefreshRejected; Unavailable if another try
    may help, else AirtableError. The child logs to the same place."""
    command = [sys.executable, "manage.py", "refresh_airtable_cache", "--as-child", "--json"]
    try:
        started = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    except OSError as error:
        raise Unavailable(f"The refresh's process can't be started: {error}") from error
    with started as process:
        _lower_priority(process.pid)
        assert process.stdout is not None  # noqa: S101 - for mypy
        output = process.stdout.read()
        status = process.wait()
    _raise_error(_parsed(output), status)


def become_child() -> None:
    """In the child: stop as with Ctrl-C when the parent has ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may ignore it

    def watch() -> None:
        # Returns when the parent's end of the pipe is closed. Not `sys.stdin`: Python aborts if a
        # thread still reads it at the end.
        os.read(0, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads the result any more
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _lower_priority(process_id: int) -> None:
    """It runs when calls leave time for it, from its start: importing Django takes half a second.
    Linux has a policy for that; elsewhere the priority is the lowest."""
    with suppress(OSError):  # it has ended, or may not be changed
        os.setpriority(os.PRIO_PROCESS, process_id, LOWEST_PRIORITY)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(process_id, os.SCHED_IDLE, os.sched_param(0))


def _parsed(output: bytes) -> dict[str, object]:
    """Empty if the child ended before it printed its result."""
    try:
        result = json.loads(output)
    except ValueError:
        return {}
    return result if isinstance(result, dict) else {}


def _raise_error(result: dict[str, object], status: int) -> None:
    error = str(result.get("error", ""))
    if result.get("status") == "busy":
        raise RefreshInProgress("Another refresh is running.")
    if result.get("status") == "refused":
        raise RefreshRejected(error)
    message = error or f"The refresh's process ended with status {status}: the log says why."
    was_killed = status < 0
    if was_killed or result.get("is_temporary"):
        raise Unavailable(message)
    if status:
        raise AirtableError(message)
