"""The time at the start of each log line: `2026-11-22T20:36:04.123Z`."""

import logging
import time
from functools import lru_cache


def timestamp(record: logging.LogRecord) -> str:
    return f"{_until_seconds(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(maxsize=2)  # for speed: many lines are written in the same second
def _until_seconds(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
