"""When the cron job starts next: Siftly does not know its schedule, only when it has started."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from airtable_sync.refresh.cron_monitor import INTERVAL_SECONDS


def next_start(starts: Sequence[datetime]) -> datetime:
    """`starts` of its last runs, newest first; at least one. One that did not start makes a gap of
    twice the interval: the median is not moved by it."""
    gaps = [newer - older for newer, older in pairwise(starts)]
    interval = median_low(gaps) if gaps else timedelta(seconds=INTERVAL_SECONDS)
    return starts[0] + interval
