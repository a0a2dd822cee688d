"""Refreshes at once and then every three hours, for a container without cron. SIGTERM ends it, and
the refresh that is running: a refresh may be killed at any moment."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

HOURS = 3
COMMAND = [sys.executable, "manage.py", "refresh_airtable_cache"]
FOLDER = Path(__file__).resolve().parents[1]


def seconds_until_the_next(now: float) -> float:
    """The refreshes are at 0:00, 3:00, 6:00 … UTC, as Render's are."""
    interval = HOURS * 3600
    return interval - now % interval


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    while True:
        # A failed refresh has logged why. The next one is in three hours, as with cron.
        subprocess.run(COMMAND, cwd=FOLDER, check=False)
        time.sleep(seconds_until_the_next(time.time()))


if __name__ == "__main__":
    main()
