"""A command whose output nobody reads any more ends quietly: `manage.py check_cache | head`.

Otherwise Python writes a traceback, or "Exception ignored", and exits with 120:
https://docs.python.org/3/library/signal.html#note-on-sigpipe"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

NOT_WRITTEN = 1  # exit status, if the command itself gives no other


@contextlib.contextmanager
def quiet_if_closed() -> Iterator[None]:
    """Around all that a command does."""
    _replace_missing_streams()
    try:
        yield
    except BrokenPipeError:
        _write_all()
        sys.exit(NOT_WRITTEN)
    except BaseException:
        _write_all()
        raise
    if not _write_all():
        sys.exit(NOT_WRITTEN)


def _replace_missing_streams() -> None:
    """Python has none where the file was closed before it started: `manage.py check >&-`. Its
    number would be given to the next file that is opened, such as the database."""
    sys.stdout = sys.stdout or _devnull()
    sys.stderr = sys.stderr or _devnull()


def _devnull() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _write_all() -> bool:
    """Write what is buffered, the log's lines too. Returns whether all of it was read."""
    logging.shutdown()
    return all([_flush(sys.stdout), _flush(sys.stderr)])


def _flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except BrokenPipeError:
        # What is left in the buffer goes nowhere when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True
